"""`nasfit devices`."""

from __future__ import annotations

import json
from dataclasses import asdict

from nasfit.devices.listing import found_devices


def run(*, as_json: bool) -> None:
    """Prints every device there is or might be; the name is what --device takes."""
    found = found_devices()
    if as_json:
        print(json.dumps({"devices": [asdict(device) for device in found]}, indent=1))
        return
    rows = [(device.name, device.what, device.state) for device in found]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for device, cells in zip(found, rows, strict=True):
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
        if device.hint:
            print(f"    {device.hint}")

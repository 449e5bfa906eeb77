"""`nasfit count`."""

from __future__ import annotations

import json
from dataclasses import asdict

from nasfit.architecture import Architecture, count, published, write_blocks
from nasfit.errors import ArchitectureError, UsageError


def run(network: str, width: float, *, as_json: bool) -> None:
    """Prints the counts of a published network or of a text form. Raises UnknownNameError, ArchitectureError."""
    if "|" in network and width != 1.0:
        raise UsageError(f"--width {width:g} goes with a published network; a text form has widths of its own")
    architecture = Architecture.parse(network) if "|" in network else published(network, width)
    counts = count(architecture)
    if as_json:
        document = {"architecture": str(architecture), "blocks": _blocks(architecture), **asdict(counts)}
        print(json.dumps(document, indent=1))
        return
    print(f"{'part':<12}{'output':>16}{'parameters':>14}{'multiply-adds':>16}")
    for row in counts.rows:
        shape = f"{row.filters} x {row.resolution} x {row.resolution}"
        print(f"{row.part:<12}{shape:>16}{row.parameters:>14,}{row.madds:>16,}")
    print(f"{'total':<28}{counts.parameters:>14,}{counts.madds:>16,}")
    print(f"\n{architecture}")
    if blocks := _blocks(architecture):
        print(blocks)


def _blocks(architecture: Architecture) -> str | None:
    try:
        return write_blocks(architecture)
    except ArchitectureError:
        return None

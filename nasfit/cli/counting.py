"""`nasfit count`."""

from __future__ import annotations

import json
from dataclasses import asdict

from nasfit.architecture import Architecture, count, write_blocks
from nasfit.cli.networks import Fitting, architecture_named
from nasfit.errors import ArchitectureError


def run(network: str, fitting: Fitting, *, as_json: bool) -> None:
    """Prints the counts of a published network, a text form or a block string. Raises UsageError, ArchitectureError."""
    architecture = architecture_named(network, fitting)
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

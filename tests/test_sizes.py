"""Small modules and functions, as ARCHITECTURE.md promises."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import nasfit

SOURCES = {path: path.read_text(encoding="utf-8") for path in Path(nasfit.__file__).parent.rglob("*.py")}


def test_files_are_short() -> None:
    lengths = {path.name: len(text.splitlines()) for path, text in SOURCES.items()}
    assert len(lengths) > 50
    assert max(lengths.values()) <= 600, max(lengths, key=lambda name: lengths[name])
    assert statistics.median(lengths.values()) <= 150


def test_functions_are_short() -> None:
    lengths = {
        f"{path.name}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path, text in SOURCES.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert max(lengths.values()) <= 80, max(lengths, key=lambda name: lengths[name])
    assert statistics.median(lengths.values()) <= 10

"""Studies side by side."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., tuple[int, str, str]]


def test_what_they_came_to_and_what_was_asked_differently(
    run: Run, finished: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    path, printed, _ = finished
    other = shutil.copytree(path, tmp_path / "other")
    with sqlite3.connect(other / "study.sqlite") as connection:
        connection.execute("UPDATE settings SET value = '9.0' WHERE name = 'target_ms'")
        connection.execute("DELETE FROM documents WHERE name = 'result'")
    connection.close()
    document = json.loads(run("compare", path, other, "--json")[1])
    first, second = document["studies"]
    best = printed["result"]["contenders"][printed["result"]["best"]]
    assert (first["test"], first["test_ms"]) == (best["accuracy"], best["latency_ms"])
    assert second["test"] is None and second["validation"] is not None
    assert document["differing"]["target_ms"] == [0.5, 9.0] and "seed" not in document["differing"]
    code, out, _ = run("compare", path, other)
    assert code == 0 and str(other) in out and "target_ms" in out and f"{100 * best['accuracy']:.2f} %" in out


def test_one_is_not_compared(run: Run, tmp_path: Path) -> None:
    code, _, err = run("compare", tmp_path)
    assert code == 2 and "two studies or more" in err
    code, _, err = run("compare", tmp_path, tmp_path)
    assert code == 2 and "holds no study" in err

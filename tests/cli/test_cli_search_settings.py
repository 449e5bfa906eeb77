"""Every option of `nasfit search` becomes the setting it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from nasfit.cli import searching
from nasfit.search import Settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, Any, bool]]:
    calls: list[tuple[Settings, Any, bool]] = []

    def called(
        settings: Settings, study: Any, *, store: str | None, ray: str | None, dry_run: bool, as_json: bool
    ) -> None:
        calls.append((settings, study, as_json))
        assert not dry_run
        assert (store, ray) in ((None, None), ("postgresql://me@/db", "auto"))

    monkeypatch.setattr(searching, "run", called)
    return calls


def test_defaults_are_those_of_the_settings(run: Run, asked: list[tuple[Settings, Any, bool]]) -> None:
    assert run("search", "photos", "--target-ms", 5)[0] == 0
    assert asked == [(Settings("photos", 5.0), None, False)]


def test_what_is_written_in_units_is_read(run: Run, asked: list[tuple[Settings, Any, bool]]) -> None:
    words = (
        "--front 2 5 --budget 1h30m --max-size 800kB --predictor p.json --warm-start old --screen zen --hints counts"
    )
    where = ("--store", "postgresql://me@/db", "--ray", "auto")
    assert run("search", "photos", *words.split(), "--proxy-wish", 0, "--study", "here", "--json", *where)[0] == 0
    ((settings, study, as_json),) = asked
    expected = Settings(
        "photos",
        5.0,
        front_from_ms=2.0,
        budget_s=5400.0,
        max_size=0.8,
        predictor="p.json",
        warm_start="old",
        screen="zen",
        hints="counts",
        proxy_wish=0.0,
    )
    assert (settings, study, as_json) == (expected, Path("here"), True)


def test_every_setting_has_its_option(run: Run) -> None:
    _, out, _ = run("search", "--help")
    written = {"budget_s": "budget", "front_from_ms": "front"}
    for name in (written.get(field.name, field.name) for field in fields(Settings) if field.name != "data"):
        assert f"--{name.replace('_', '-')} " in out, name

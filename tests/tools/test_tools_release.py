"""What a release asks for before it writes anything."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
LOG = "# Changelog\n\n## 0.2.0 (unreleased)\n\n* New.\n\n## 0.1.0 (2026-01-02)\n\n* First.\n"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(TOOLS), *sys.path])


@pytest.mark.parametrize(
    ("version", "changes", "tags", "reason"),
    [
        ("0.2", "", "", "no version"),
        ("0.2.0", "", "v0.1.0\nv0.2.0\n", "has been released"),
        ("0.3.0", "", "v0.1.0\n", "no heading '## 0.3.0"),
        ("0.1.0", "", "", "no heading"),
        ("0.2.0", " M README.md\n", "v0.1.0\n", "commit these first:\n M README.md"),
    ],
)
def test_a_release_that_cannot_be_says_why(version: str, changes: str, tags: str, reason: str) -> None:
    from release import refusal

    assert reason in (refusal(version, LOG, changes, tags) or "")


def test_a_release_that_can_be_is_dated() -> None:
    from release import dated, refusal

    assert refusal("0.2.0", LOG, "", "v0.1.0\n") is None
    assert "## 0.2.0 (2026-11-27)" in dated(LOG, "0.2.0", datetime.date(2026, 11, 27))

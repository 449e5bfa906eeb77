"""The checker of stores: PostgreSQL passes, and each broken promise is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from extension_packages import put_page
from postgres_server import Server

from nasfit.errors import StudyError, UsageError
from nasfit.study import Study, check_store

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "own-store.md"
MODULE = """
from nasfit_scratch import *

class Spoilt(ScratchStore):
    def __init__(self, address, name):
        super().__init__(address, name)
        self.address = self.address.replace("scratch", "spoilt")

    {change}
"""
AGAIN = """def create(self, settings, now):
        self._folder.mkdir(parents=True, exist_ok=True)
        database.create(self._folder, settings, now)"""
NO_LOCK = """def open(self, use):
        if not self.exists():
            raise StudyError("none")
        return database.open_to_write(self._folder)"""


@pytest.fixture
def spoilt(add_package: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """spoilt(CHANGE): address of a store like the how-to's with a method of its class changed."""
    put_page(PAGE, tmp_path / "page")
    monkeypatch.syspath_prepend(tmp_path / "page")

    def made(change: str) -> str:
        add_package(MODULE.format(change=change), group="nasfit.stores", spoilt="other_parts:Spoilt")
        return f"spoilt:{tmp_path / 'disk'}"

    return made


def test_postgresql_keeps_the_contract(postgres: Server) -> None:
    check_store(postgres.url)


def test_a_store_like_the_how_tos_keeps_the_contract(spoilt: Callable[[str], str]) -> None:
    check_store(spoilt("pass"))


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ("exists = lambda self: False", r"exists\(\) is True after create"),
        ("exists = lambda self: True", r"exists\(\) is False before create"),
        (AGAIN, r"StudyError for create\(\) of a study.*there"),
        (NO_LOCK, r"driven\(\) is True while a driver has it open"),
        ("driven = lambda self, _: False", r"driven\(\) is True while a driver"),
        ("driven = lambda self, _: True", r"driven\(\) is False once the driver has disposed"),
        (
            "address = property(lambda self: f'spoilt:{self._folder.parent}', lambda self, _: None)",
            "an address that makes the same",
        ),
    ],
)
def test_each_broken_promise_is_named(spoilt: Callable[[str], str], change: str, promise: str) -> None:
    with pytest.raises(StudyError, match=f"the store breaks its contract; promised: .*{promise}"):
        check_store(spoilt(change))


def test_a_study_finds_its_store_again(spoilt: Callable[[str], str], tmp_path: Path) -> None:
    address = spoilt("pass")
    with Study.create(tmp_path / "a", {"target_ms": 3.0}, store=address):
        assert not (tmp_path / "a" / "study.sqlite").exists()
    (tmp_path / "a").rename(tmp_path / "moved")
    with Study.open(tmp_path / "moved", read_only=True) as study:
        assert study.settings == {"target_ms": 3.0}
    with pytest.raises(StudyError, match=r"is kept in spoilt:.*, not in postgresql"):
        Study.open_or_create(tmp_path / "moved", {}, store="postgresql://host/db")
    (tmp_path / "moved" / "study.url").write_text("gone:/x")
    with pytest.raises(StudyError, match="is kept in 'gone:/x', a kind of store that a package adds; install that"):
        Study.open(tmp_path / "moved", read_only=True)


def test_a_wrong_address_is_told_with_the_kinds_of_packages(spoilt: Callable[[str], str], tmp_path: Path) -> None:
    spoilt("pass")
    with pytest.raises(UsageError, match="give postgresql://user@host/database, or an address of scratch, spoilt"):
        Study.create(tmp_path / "a", {}, store="mysql://host/db")
    with pytest.raises(UsageError, match="give scratch:DIRECTORY with a whole path"):
        Study.create(tmp_path / "a", {}, store="spoilt:here")

"""Parts of other packages: found by name, imported when asked for, and told of in one message where they are broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from extension_packages import put_package

from nasfit.devices import engine_named, found_devices, open_device
from nasfit.errors import DataError, ExtensionError, UnknownNameError
from nasfit.extensions import ExtensionPoint, culprit
from nasfit.search import Settings
from nasfit.strategies import make_strategy
from nasfit.tasks import find

POINT = ExtensionPoint("nasfit.strategies", "strategy", ("random", "guided"), offers=("ask", "tell"))
PART = """
class Part:
    def __init__(self, *arguments, **named):
        self.told = arguments, named

    def ask(self, n):
        raise ValueError("out of ideas")

    def tell(self, outcomes):
        pass
"""
Add = Callable[..., None]


@pytest.fixture
def add(add_package: Add) -> Add:
    """Strategies, where no other group is named."""
    return partial(add_package, group="nasfit.strategies")


def test_a_part_is_known_by_name_and_imported_when_asked_for(add: Add) -> None:
    add(PART, mine="other_parts:Part")
    assert POINT.added() == ("mine",) and POINT.adds("mine") and not POINT.adds("random")
    POINT.require("mine")
    assert "other_parts" not in sys.modules
    made: Any = POINT.make("mine", 1, two=2)
    assert made.told == ((1,), {"two": 2})


def test_a_wrong_name_is_told_with_those_of_packages(add: Add) -> None:
    add(PART, climber="other_parts:Part")
    with pytest.raises(UnknownNameError, match=r"unknown --strategy 'climbr'; did you mean 'climber'\?"):
        POINT.require("climbr", "--strategy")
    with pytest.raises(UnknownNameError, match="known: climber, guided, random"):
        POINT.load("q")
    with pytest.raises(UnknownNameError, match="did you mean 'climber'"):
        Settings("pictures", 1.0, strategy="climbr")


@pytest.mark.parametrize(
    ("text", "reference", "words"),
    [
        ("import no_such_module", "other_parts:Part", "does not load: ModuleNotFoundError: No module named 'no_such"),
        ("1 / 0", "other_parts:Part", "does not load: ZeroDivisionError"),
        (PART, "other_parts:Prat", "does not load: AttributeError"),
        (PART, "no such thing", "does not load"),
        ("def Part(): pass", "other_parts:Part", "cannot be made: TypeError: .*argument"),
        ("def Part(*_, **__): return 3", "other_parts:Part", "has no ask, tell"),
    ],
)
def test_a_broken_part_is_one_message_and_hides_no_other(add: Add, text: str, reference: str, words: str) -> None:
    add(text, mine=reference)
    with pytest.raises(ExtensionError, match=words) as told:
        make_strategy("mine", (2, 3), seed=0)
    assert f"strategy 'mine' of package other-parts (entry point {reference})" in str(told.value)
    assert "pip uninstall other-parts" in str(told.value) and "\n" not in str(told.value)
    assert len(make_strategy("evolution", (2, 3), seed=0).ask(2)) == 2


def test_a_name_of_nasfits_own_is_refused_and_the_others_go_on(add: Add) -> None:
    add(PART, evolution="other_parts:Part")
    with pytest.raises(ExtensionError, match=r"package other-parts .* has the name of one that nasfit has itself"):
        make_strategy("evolution", (2, 3), seed=0)
    assert len(make_strategy("random", (2, 3), seed=0).ask(2)) == 2


def test_two_packages_with_one_name_are_refused(add: Add) -> None:
    add(PART, mine="other_parts:Part")
    add(PART, package="more-parts", mine="more_parts:Part")
    with pytest.raises(ExtensionError, match=r"package more-parts .* and .* package other-parts .* have one name"):
        make_strategy("mine", (2, 3), seed=0)


def test_damaged_entry_points_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_package(tmp_path, "broken", {}, {})
    (tmp_path / "broken-1.0.dist-info" / "entry_points.txt").write_bytes(b"[a]\n\xff = x\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ExtensionError, match=r"cannot be read \(UnicodeDecodeError.*install it anew"):
        POINT.added()
    assert culprit(ValueError("any")) is None


def test_an_error_of_a_part_is_laid_at_its_package(add: Add) -> None:
    add(PART, mine="other_parts:Part")
    strategy = make_strategy("mine", (2, 3), seed=0)
    with pytest.raises(ValueError, match="out of ideas") as raised:
        strategy.ask(1)
    assert culprit(raised.value) == "other-parts"
    with pytest.raises(ZeroDivisionError) as own:
        1 / 0  # noqa: B018
    assert culprit(own.value) is None


def test_devices_tasks_and_engines_are_asked_for_likewise(add: Add) -> None:
    add("import no_such_module", group="nasfit.devices", package="a-device", box="a_device:Box")
    add("import no_such_module", group="nasfit.tasks", package="a-task", table="a_task:Table")
    add("Tiny = 3", group="nasfit.engines", package="an-engine", tiny="an_engine:Tiny")
    with pytest.raises(ExtensionError, match="device 'box' of package a-device"):
        open_device("box:1")
    with pytest.raises(UnknownNameError, match="did you mean 'box'"):
        open_device("bx")
    with pytest.raises(ExtensionError, match="task 'table' of package a-task"):
        find("table:here")
    with pytest.raises(UnknownNameError, match="unknown data set 'tabel'; did you mean 'table'"):
        find("tabel")
    with pytest.raises(DataError, match="known names: fashion-mnist, fashion-mnist-small, table"):
        find("nowhere")
    with pytest.raises(
        ExtensionError, match=r"engine 'tiny' of package an-engine .* must be a nasfit\.devices\.Engine"
    ):
        engine_named("tiny")
    with pytest.raises(UnknownNameError, match="did you mean 'tiny'"):
        Settings("pictures", 1.0, engine="tinny")
    listed = {device.name: device.what for device in found_devices()}
    assert "another package" in listed["box"] and "tiny" in listed["local"]


def test_a_study_of_a_part_that_is_gone_still_reads(add: Add) -> None:
    add(PART, mine="other_parts:Part")
    kept = Settings("pictures", 1.0, strategy="mine").as_json()
    kept["strategy"], kept["engine"] = "gone", "gone too"
    with pytest.raises(UnknownNameError):
        Settings(**kept)
    assert Settings.of_study(kept).strategy == "gone"


def test_the_command_line_starts_without_looking_for_packages() -> None:
    code = "import sys, nasfit.cli.app; sys.exit('nasfit.extensions' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

"""Options of a search from a TOML file, and back."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nasfit.cli import searching
from nasfit.search import Settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, dict[str, Any]]]:
    calls: list[tuple[Settings, dict[str, Any]]] = []
    monkeypatch.setattr(searching, "run", lambda settings, study, **rest: calls.append((settings, rest)))
    return calls


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "search.toml"
    path.write_text(
        'data = "photos"\ntarget-ms = 5\nbudget = "2h"  # of everything\nmax-size = "800kB"\nprogressive = true\n'
        "seed = 3\nalpha = -0.1\nbeta = -0.2\n"
    )
    return path


def test_a_file_gives_the_options_and_what_is_typed_wins(
    run: Run, file: Path, asked: list[tuple[Settings, dict[str, Any]]]
) -> None:
    assert run("search", "--config", file, "--seed", 4)[0] == 0
    assert run("search", "others", "--config", file)[0] == 0
    first, second = (settings for settings, _ in asked)
    wanted = Settings("photos", 5.0, budget_s=7200.0, max_size=0.8, progressive=True, seed=4, alpha=-0.1, beta=-0.2)
    assert first == wanted
    assert (second.data, second.seed) == ("others", 3)


def test_what_is_printed_is_such_a_file(
    run: Run, file: Path, tmp_path: Path, asked: list[tuple[Settings, dict[str, Any]]]
) -> None:
    code, out, _ = run("search", "photos", "--front", 1, 5, "--budget", "1h", "--print-config")
    assert code == 0 and asked == []
    written = tomllib.loads(out)
    assert written["front"] == [1.0, 5.0] and written["budget"] == "1h" and written["stream"] is False
    assert "# max-mb =" in out and "print-config" not in out
    (tmp_path / "again.toml").write_text(out)
    assert run("search", "--config", tmp_path / "again.toml")[0] == 0
    assert asked[0][0] == Settings("photos", 5.0, front_from_ms=1.0, budget_s=3600.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("target-mz = 5", "unknown setting in .*did you mean 'target-ms'"),
        ("target-ms = ", "is no TOML"),
        ("[search]\ntarget-ms = 5", "unknown setting in .*'search'"),
        ("[seed]\na = 5", "seed is a table"),
        ("json = true", "unknown setting"),
        ("\xff", "is no TOML"),
    ],
)
def test_what_is_no_setting_is_told(run: Run, tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.toml").write_bytes(text.encode("latin-1"))
    code, _, err = run("search", "photos", "--config", tmp_path / "a.toml")
    assert code == 2 and err.startswith("error: ") and len(err.splitlines()) <= 2

    assert re.search(reason, err), err


def test_a_file_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    code, _, err = run("search", "photos", "--config", tmp_path / "none.toml")
    assert code == 2 and "cannot be read: No such file" in err


def test_a_value_of_another_kind_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('target-ms = "soon"')
    code, _, err = run("search", "photos", "--config", tmp_path / "a.toml")
    assert code == 2 and "--target-ms" in err and "number" in err


@pytest.mark.parametrize(
    ("typed", "key", "value"),
    [
        (["proxy", "photos", "--wish", 0.7], "wish", 0.7),
        (["train", "mnasnet-a1", "photos", "--lr", 0.1], "lr", 0.1),
        (["train-detector", "mnasnet-a1", "cards", "--epochs", 3], "epochs", 3.0),
        (["search-detector", "cards", "--target-ms", 20], "target-ms", 20.0),
        (["export", "runs/first", "--precision", "int8"], "precision", "int8"),
        (["measure", "mnasnet-a1", "mobilenet-v2", "--threads", 2], "networks", ["mnasnet-a1", "mobilenet-v2"]),
    ],
)
def test_the_other_commands_with_many_options_have_such_files(
    run: Run, tmp_path: Path, typed: list[Any], key: str, value: Any
) -> None:
    command, file = typed[0], tmp_path / "options.toml"
    code, out, _ = run(*typed, "--print-config")
    assert code == 0 and tomllib.loads(out)[key] == value
    file.write_text(out)
    assert run(command, "--config", file, "--print-config")[1] == out
    file.write_text("budgett = 3\n")
    assert "unknown setting" in run(command, "--config", file, "--print-config")[2]

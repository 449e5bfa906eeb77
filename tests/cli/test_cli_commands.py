"""What the commands print, in this process."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import typer
from PIL import Image
from safetensors.torch import load_file

from nasfit.architecture import Architecture
from nasfit.cli import main
from nasfit.cli.app import app
from nasfit.cli.quantities import duration, seconds
from nasfit.errors import UsageError
from nasfit.export import check_parity
from nasfit.models import build
from nasfit.search import Settings
from nasfit.search.asking import default_study
from nasfit.study import Study

Run = Callable[..., tuple[int, str, str]]
Finished = tuple[Path, dict[str, Any], str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def called(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nasfit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return called


def commands(group: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every command below a group of typer's, by what is typed for it."""
    found = {}
    for name, command in group.commands.items():
        below = hasattr(command, "commands")
        found |= commands(command, (*path, name)) if below else {" ".join((*path, name)): command}
    return found


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_and_json(name: str) -> None:
    command = COMMANDS[name]
    assert "Example: nasfit " in command.help
    assert any("--json" in parameter.opts for parameter in command.params)


def test_count_prints_the_published_numbers(run: Run) -> None:
    code, out, _ = run("count", "mnasnet-a1", "--json")
    document = json.loads(out)
    assert code == 0
    assert (document["parameters"], document["madds"]) == (3_887_038, 311_579_072)
    assert sum(row["madds"] for row in document["rows"]) == document["madds"]
    assert document["blocks"].startswith("r1_k3_s11_e1_i32_o16_noskip")
    code, text, _ = run("count", "mnasnet-a1")
    assert "3,887,038" in text
    assert run("count", document["architecture"])[1] == text
    assert run("count", "mnasnet-a1", "--width", "0.5")[1] != text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnasnet-a2"], "did you mean 'mnasnet-a1'"),
        (["in3@224 stem32s2 | nonsense"], "nonsense"),
        (["mnasnet-a1", "--width", "nan"], "width"),
        (["mnasnet-a1", "--width", "-1"], "width"),
        (["in3@24 stem8s2 | x", "--width", "0.5"], "a text form has its own width"),
        (["mnasnet-a1", "--resolution", "8"], "24 px or more"),
    ],
)
def test_count_refuses_with_one_message(run: Run, arguments: list[str], words: str) -> None:
    refused(run("count", *arguments), words)


def refused(ended: tuple[int, str, str], words: str) -> None:
    code, out, err = ended
    assert code == 2, err
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert err.lower().count("error: ") == 1


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    def painted(place: Path, number: int) -> None:
        place.mkdir(parents=True)
        for index in range(number):
            pixels = np.random.default_rng(index).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{index}.png")

    (tmp_path / "empty").mkdir()
    painted(tmp_path / "one" / "cat", 5)
    painted(tmp_path / "single" / "cat", 5)
    painted(tmp_path / "single" / "dog", 1)
    painted(tmp_path / "good" / "cat", 5)
    painted(tmp_path / "good" / "dog", 5)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.doc").write_text("x")
    (tmp_path / "file").write_text("x")
    return tmp_path


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        ("missing", "", "neither a known data set nor a folder"),
        ("goood", "", "did you mean"),
        ("empty", "", "empty"),
        ("one", "", "one"),
        ("single", "", "dog"),
        ("good", "--space mnasnt", "did you mean 'mnasnet'"),
        ("good", "--strategy evolve", "evolution"),
        ("good", "--reward sotf", "did you mean 'soft'"),
        ("good", "--device locl", "did you mean 'local'"),
        ("good", "--device ssh:pi", "write ssh://[user@]host"),
        ("good", "--strides odd", "strides"),
        ("good", "--target-ms 0", "--target-ms is 0.0"),
        ("good", "--target-ms -3", "--target-ms is -3.0"),
        ("good", "--target-ms nan", "--target-ms is nan"),
        ("good", "--target-ms abc", "--target-ms"),
        ("good", "--target-ms 5 --front 1 2", "give either --target-ms T"),
        ("good", "--front 2 1", "reach from 2.0 to 1.0 ms; give two latencies"),
        ("good", "--front 1 2 --reward hard", "leave out --reward"),
        ("good", "--front 1 2 --strategy ppo", "strategy 'ppo' follows one reward"),
        ("good", "--calibrate-exponent --alpha -0.1", "leave out --alpha"),
        ("good", "--warm-start nowhere", "which holds no study"),
        ("good", "--stopping curv", "did you mean 'curve'"),
        ("good", "--budget soon", "'soon' is no duration"),
        ("good", "--budget 0s", "no time at all"),
        ("good", "--alpha 1", "alpha is 1.0"),
        ("good", "--study foreign", "holds no study but other files"),
        ("good", "--study file", "a file is where a directory is needed"),
        ("good", "--study /proc/nasfit", "/proc/nasfit"),
    ],
)
def test_search_refuses_with_one_message(
    run: Run, folders: Path, monkeypatch: pytest.MonkeyPatch, data: str, options: str, words: str
) -> None:
    if "/proc" in options and not Path("/proc").is_dir():
        pytest.skip("no /proc here to stand for a directory that cannot be written")
    monkeypatch.chdir(folders)
    given = options.split()
    defaults = [] if {"--target-ms", "--front"} & set(given) else ["--target-ms", "5"]
    where = [] if "--study" in given else ["--study", "study"]
    refused(run("search", f"./{data}", *defaults, *where, *given), words)
    if given:
        assert not Path("study").exists()


def test_a_limit_is_needed_and_names_the_study(run: Run, folders: Path) -> None:
    refused(run("search", folders / "good"), "give either --target-ms T")
    single, front = Settings("./good", 2.0), Settings("./good", 2.0, front_from_ms=0.5)
    assert [str(default_study(settings)) for settings in (single, front)] == [
        "runs/good-2ms-seed0",
        "runs/good-0.5-2ms-seed0",
    ]


def test_a_mistyped_data_name_is_recognised(run: Run, tmp_path: Path) -> None:
    refused(run("search", "fashon-mnist", "--target-ms", 5, "--study", tmp_path / "s"), "did you mean 'fashion-mnist'")
    assert not (tmp_path / "s").exists()


def test_a_study_of_other_settings_or_a_newer_version_is_refused(run: Run, folders: Path, tmp_path: Path) -> None:
    import sqlite3

    path, data = tmp_path / "kept", str(folders / "good")
    with Study.create(path, Settings(data, 7.0).as_json()) as study:
        study.put_document("plan", {"width": 1.0})
    search = ("search", data, "--study", path, "--target-ms")
    refused(run(*search, 5), "target_ms: stored 7, given 5")
    connection = sqlite3.connect(path / "study.sqlite")
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    refused(run(*search, 7), "format 999")
    refused(run("show", path), "format 999")


def test_show_before_there_is_anything(run: Run, tmp_path: Path) -> None:
    Study.create(tmp_path / "s", Settings("d", 7.0).as_json()).close()
    code, out, _ = run("show", tmp_path / "s")
    assert code == 0
    assert "no trained network meets 7 ms yet" in out
    document = json.loads(run("show", tmp_path / "s", "--json")[1])
    nothing = {"front_from_ms": None, "trials": {}, "front": [], "best": None, "proxy": None, "result": None}
    assert document == {"target_ms": 7.0, "measure": "accuracy", "winner": None, "scores": {}, **nothing}
    refused(run("show", tmp_path), "holds no study")


def test_a_search_delivers_what_it_prints(run: Run, finished: Finished) -> None:
    path, printed, _ = finished
    assert (path / "report.html").stat().st_size > 1000
    with Image.open(path / "front.png") as front:
        assert min(front.size) > 100
    contenders = printed["result"]["contenders"]
    assert {contender["origin"] for contender in contenders} == {"found", "baseline"}
    for contender in contenders:
        network = Architecture.parse(contender["architecture"])
        module = build(network)
        module.load_state_dict(load_file(path / contender["weights"]))
        module.eval()
        content = (path / contender["onnx"]).read_bytes()
        images = np.random.default_rng(0).normal(size=(3, 3, 24, 24)).astype(np.float32)
        import torch

        assert check_parity(module, content, torch.from_numpy(images)) < 1e-3
        session = onnxruntime.InferenceSession(content)
        assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["blue", "green", "red"]
    shown = json.loads(run("show", path, "--json")[1])
    assert shown["result"] == printed["result"]
    assert shown["trials"]["complete"] >= 1
    pairs, left_out = shown["proxy"]["pairs"], shown["proxy"]["left_out"]
    assert {pair["name"] for pair in pairs} | set(left_out) == {contender["name"] for contender in contenders}
    assert {pair["name"] for pair in pairs} >= {c["name"] for c in contenders if c["origin"] == "found"}
    assert shown["best"]["latency_ms"] <= shown["target_ms"] == 0.5
    text = run("show", path)[1]
    assert "best under the limit" in text
    assert "tested once" in text
    assert "Short against full training:" in text


def test_a_dry_run_tells_the_plan_and_tries_nothing(
    run: Run, finished: Finished, tmp_path: Path, small_search: list[str]
) -> None:
    path = shutil.copytree(finished[0], tmp_path / "study")
    words = [*small_search[small_search.index("search") :], "--study", path, "--budget", "100h", "--dry-run"]
    code, out, _ = run(*words)
    assert code == 0 and "50h 00m of search, about 4 networks trained by 2 workers" in out and "same command" in out
    document = json.loads(run(*words, "--json")[1])
    assert document["forecast"]["trials"] == 4 and document["forecast"]["search_s"] == 180_000.0
    assert document["plan"]["proxy_images"] == 64
    with Study.open(path) as study, Study.open(finished[0], read_only=True) as before:
        assert study.trials() == before.trials()


def test_without_a_terminal_progress_is_plain_lines(finished: Finished) -> None:
    lines = finished[2].strip().splitlines()
    assert len(lines) > 3
    assert all(line.startswith("[") for line in lines)
    assert "\x1b" not in finished[2]
    assert "\r" not in finished[2]


def test_durations_are_read_and_written() -> None:
    assert [seconds(text) for text in ("90s", "20m", "2h", "1.5d", "1h30m", " 1 H ")] == [
        90,
        1200,
        7200,
        129600,
        5400,
        3600,
    ]
    assert [duration(value) for value in (-1, 45, 200, 7500)] == ["0s", "45s", "3m 20s", "2h 05m"]
    for text in ("", "10", "m", "-5m", "1h 5", "nan"):
        with pytest.raises(UsageError, match="is no duration"):
            seconds(text)


def test_a_fault_of_nasfit_is_one_message_and_debug_shows_where(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("no such\nthing")

    monkeypatch.setattr("nasfit.cli.counting.run", broken)
    code, _, err = run("count", "mnasnet-a1")
    assert code == 1 and "nasfit itself failed (KeyError: 'no such" in err and "Traceback" not in err
    code, _, err = run("--debug", "count", "mnasnet-a1")
    assert code == 1 and "Traceback" in err and "in broken" in err


def test_a_search_for_detectors_is_shown_with_map(
    run: Run, detector_study: Callable[..., Path], add_winner: Callable[..., None]
) -> None:
    path = detector_study(budget_s=60.0)
    code, out, _ = run("show", path)
    assert code == 0 and "validation mAP" in out and "accuracy" not in out
    assert "25.00 %" in out and "<- best under the limit" in out
    add_winner(path)
    assert "50.00 % test mAP; 1.75 ms, within the limit of 2 ms." in run("show", path)[1]
    document = json.loads(run("show", path, "--json")[1])
    assert document["measure"] == "mAP" and document["winner"]["test"]["map"] == 0.5
    assert run("report", path)[0] == 0 and (path / "report.html").stat().st_size > 1000
    assert json.loads(run("study", "ls", path, "--json")[1])[0]["state"] == "finished"
    assert "50.00 %" in run("compare", path, path)[1]

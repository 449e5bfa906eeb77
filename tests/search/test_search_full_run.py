"""Whole trainings of a tiny network on generated pictures."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from nasfit.errors import DataError, StudyError, TrainingError, UnknownNameError, UsageError, WeightsError
from nasfit.export import read_metadata
from nasfit.search import FullEvent, FullFinished, FullPlanned, FullSettings, Noted, run_full_training
from nasfit.training import BEST, LAST, Began, Saved

NETWORK = "in3@24 stem8s2 | mbconv3 k3 s2 se0.25 none f8 n1 | head16 out3 relu"
SETTINGS = FullSettings("", NETWORK, is_fixed=True, recipe="quick", epochs=4, device="cpu", saved_every_s=0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def settings(pictures: Path) -> FullSettings:
    return replace(SETTINGS, data=str(pictures))


def run(settings: FullSettings, folder: Path, *, stop_after: int | None = None, **options: Any) -> list[FullEvent]:
    """All events, or those up to the save at a step."""
    events: list[FullEvent] = []
    for event in run_full_training(settings, folder, **options):
        events.append(event)
        if isinstance(event, Saved) and event.step == stop_after:
            break
    return events


def result(events: list[FullEvent]) -> dict[str, Any]:
    assert isinstance(events[-1], FullFinished)
    return events[-1].result


def test_from_pictures_to_tested_files(settings: FullSettings, tmp_path: Path) -> None:
    events = run(replace(settings, epochs=12), tmp_path)
    found = result(events)
    assert found["test"]["accuracy"] > 0.9 and found["test"]["pictures"] == 18
    assert found["validation"]["accuracy"] > 0.9
    assert max(found["parity"].values()) < 1e-4
    for name in found["files"].values():
        told = read_metadata((tmp_path / name).read_bytes())
        assert json.loads(told["classes"]) == ["blue", "green", "red"] and told["architecture"] == NETWORK
    with safe_open(tmp_path / BEST, "pt") as weights:
        assert (weights.metadata()["mean"], weights.metadata()["std"]) == (told["mean"], told["std"])
    assert len(json.loads((tmp_path / "history.json").read_text())) == 12
    assert list((tmp_path / "tensorboard").iterdir())
    card = (tmp_path / found["card"]).read_text()
    assert "18 test pictures" in card and f"| {100 * found['test']['accuracy']:.2f} % |" in card
    assert all(f"| {name} |" in card for name in found["files"].values())
    facts = json.loads((tmp_path / "training.json").read_text())
    assert facts["classes"] == ["blue", "green", "red"] and facts["recipe"]["name"] == "quick"
    again = run(replace(settings, epochs=12), tmp_path)
    assert again == [FullFinished(found, is_new=False)]


def test_a_training_goes_on_where_it_was(settings: FullSettings, tmp_path: Path) -> None:
    settings = replace(settings, recipe="modern", resolution=24)
    whole = result(run(settings, tmp_path / "whole"))
    run(settings, tmp_path / "parts", stop_after=2)
    events = run(settings, tmp_path / "parts")
    assert Began(2) in events
    assert result(events) == whole
    assert same(tmp_path / "parts", tmp_path / "whole")


def test_other_settings_do_not_go_on(settings: FullSettings, tmp_path: Path) -> None:
    run(settings, tmp_path, stop_after=2)
    with pytest.raises(StudyError, match=r"the training in .*other settings:\n  seed: stored 0, given 1\n.*--out"):
        run(replace(settings, seed=1), tmp_path)
    other = NETWORK.replace("f8", "f16")
    with pytest.raises(StudyError, match="network: stored"):
        run(replace(settings, network=other), tmp_path)
    # How often it is kept changes nothing.
    run(replace(settings, saved_every_s=50.0), tmp_path)


def test_settings_may_be_mended_before_the_first_checkpoint(settings: FullSettings, tmp_path: Path) -> None:
    run(settings, tmp_path, only_plan=True)
    with pytest.raises(TrainingError, match=r"learning rate .*lower --lr"):
        run(replace(settings, rate=1e30, saved_every_s=100.0), tmp_path)
    run(settings, tmp_path)


def test_a_damaged_checkpoint_says_so(settings: FullSettings, tmp_path: Path) -> None:
    run(settings, tmp_path, stop_after=2)
    content = (tmp_path / LAST).read_bytes()
    (tmp_path / LAST).write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="is damaged"):
        run(settings, tmp_path)


def test_a_full_disk_ends_in_one_message(
    settings: FullSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(settings, tmp_path, stop_after=2)
    before = (tmp_path / LAST).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with (
        monkeypatch.context() as patched,
        pytest.raises(StudyError, match=r"No space left on device; .*the same command goes on"),
    ):
        patched.setattr(os, "fsync", full)
        run(settings, tmp_path)
    assert (tmp_path / LAST).read_bytes() == before
    run(settings, tmp_path)


def test_facts_that_do_not_read_and_a_place_that_cannot_be(settings: FullSettings, tmp_path: Path) -> None:
    run(settings, tmp_path / "out", stop_after=2)
    (tmp_path / "out" / "training.json").write_text("{")
    with pytest.raises(StudyError, match=r"training.json' does not read: .*another --out"):
        run(settings, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"cannot make .*give another --out"):
        run(settings, tmp_path / "file")


def test_one_training_at_a_time(settings: FullSettings, tmp_path: Path) -> None:
    running = run_full_training(settings, tmp_path / "out")
    next(running)
    with pytest.raises(StudyError, match="being trained in by another process"):
        run(settings, tmp_path / "out")
    running.close()  # type: ignore[attr-defined]


def test_a_plan_is_told_and_nothing_trained(settings: FullSettings, tmp_path: Path) -> None:
    events = run(replace(settings, budget_s=5.0, epochs=None), tmp_path, only_plan=True)
    planned = events[-1]
    assert isinstance(planned, FullPlanned) and planned.seconds is not None
    assert planned.seconds <= 5.0 or planned.plan.steps == 1
    assert not (tmp_path / LAST).exists()
    run(settings, tmp_path, stop_after=1)
    before = (tmp_path / LAST).stat().st_mtime_ns
    assert isinstance(run(settings, tmp_path, only_plan=True)[-1], FullPlanned)
    assert (tmp_path / LAST).stat().st_mtime_ns == before


def test_the_recipe_follows_the_number_of_pictures_and_is_said(settings: FullSettings, tmp_path: Path) -> None:
    events = run(replace(settings, recipe=None), tmp_path, only_plan=True)
    said = [event.text for event in events if isinstance(event, Noted)]
    assert any(re.match(r"recipe small-data, for \d\d training pictures; --recipe", text) for text in said)


def test_published_networks_are_fitted_and_others_keep_their_size(settings: FullSettings, tmp_path: Path) -> None:
    fixed = run(
        replace(settings, network=NETWORK.replace("@24", "@32").replace("out3", "out7")), tmp_path / "a", only_plan=True
    )
    planned = fixed[-1]
    assert isinstance(planned, FullPlanned) and planned.plan.side == 32
    said = [event.text for event in fixed if isinstance(event, Noted)]
    assert "the network is fitted to the pictures: 7 classes become 3" in said
    free = run(replace(settings, is_fixed=False, network=NETWORK.replace("@24", "@64")), tmp_path / "b", only_plan=True)
    assert isinstance(free[-1], FullPlanned) and free[-1].plan.side == 24


def test_unequal_classes_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "pictures", {"common": 60, "rare": 4})
    settings = replace(SETTINGS, data=str(root), network=NETWORK.replace("out3", "out2"))
    said = [e.text for e in run(settings, tmp_path / "out", only_plan=True) if isinstance(e, Noted)]
    assert any("classes are unequal: 'common' has" in text and "--balance" in text for text in said)
    said = [
        e.text for e in run(replace(settings, balanced=True), tmp_path / "out", only_plan=True) if isinstance(e, Noted)
    ]
    assert any("they weigh the same in the loss" in text for text in said)


def test_classes_that_only_the_validation_folder_has_are_an_error(tmp_path: Path) -> None:
    folder(tmp_path / "pictures" / "train", {"a": 6, "b": 6})
    root = folder(tmp_path / "pictures" / "val", {"a": 3, "c": 3}).parent
    with pytest.raises(DataError, match=r"c: class\(es\) of the validation part without pictures in train"):
        run(replace(SETTINGS, data=str(root)), tmp_path / "out")


def test_weights_to_start_from(settings: FullSettings, tmp_path: Path) -> None:
    run(replace(settings, epochs=12), tmp_path / "first")
    start = replace(settings, weights=str(tmp_path / "first" / BEST), recipe="small-data", epochs=1, rate=1e-6)
    events = run(start, tmp_path / "second")
    assert any(isinstance(e, Noted) and "100% of the parameters begin with the weights" in e.text for e in events)
    assert result(events)["test"]["accuracy"] > 0.9


def test_streamed_pictures_train(settings: FullSettings, tmp_path: Path) -> None:
    settings = replace(settings, recipe="mnasnet", stream=True, resolution=24, epochs=2)
    assert result(run(settings, tmp_path))["epochs"] == 2
    assert not list((tmp_path / "data").rglob("*_images.npy"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget_s": 5.0}, "--epochs and --budget"),
        ({"recipe": "modrn"}, "did you mean 'modern'"),
        ({"device": "tpu"}, "'tpu' is nothing to train on; give cpu or cuda"),
        ({"precision": "fp16"}, "unknown training precision"),
        ({"epochs": 0}, "epochs is 0"),
        ({"saved_every_s": -1.0}, "give 0 s or more"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=message):
        replace(SETTINGS, **change)


def folder(root: Path, counts: dict[str, int]) -> Path:
    generator = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(generator.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(root / name / f"{number}.png")
    return root


def same(first: Path, second: Path) -> bool:
    """Whether two trainings ended with the same bits: weights, average, optimizer."""
    for name in (LAST, BEST):
        found, expected = load_file(first / name), load_file(second / name)
        if found.keys() != expected.keys():
            return False
        if not all(torch.equal(found[key], expected[key]) for key in found):
            return False
    return True


def in_a_process(settings: FullSettings, folder: Path) -> None:
    torch.set_num_threads(1)
    run(settings, folder)


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.timeout(900)
def test_kills_at_any_moment_change_nothing(settings: FullSettings, tmp_path: Path) -> None:
    settings = replace(settings, recipe="mnasnet", epochs=60, resolution=24)
    processes = get_context("forkserver")
    processes.set_forkserver_preload(["nasfit.search"])
    whole = processes.Process(target=in_a_process, args=(settings, tmp_path / "whole"))
    whole.start(), whole.join()
    assert whole.exitcode == 0
    draws, killed, last = random.Random(0), 0, tmp_path / "parts" / LAST
    while killed < 20:
        process = processes.Process(target=in_a_process, args=(settings, tmp_path / "parts"))
        process.start()
        before, wanted = stamp(last), draws.randint(1, 3)
        while process.is_alive() and wanted:
            if stamp(last) != before:
                before, wanted = stamp(last), wanted - 1
        time.sleep(draws.random() * 0.02)
        if process.is_alive():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.join()
        if (tmp_path / "parts" / "result.json").exists():
            break
    assert killed >= 10
    run(settings, tmp_path / "parts")
    assert same(tmp_path / "parts", tmp_path / "whole")


def stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_train_one_network(pictures: Path, tmp_path: Path) -> None:
    options = ["--recipe", "quick", "--epochs", "12", "--device", "cpu", "--out", str(tmp_path / "out"), "--json"]
    line = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "nasfit"]
    done = subprocess.run(
        [*line, "train", NETWORK, str(pictures), *options],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["result"]["test"]["accuracy"] > 0.9
    assert json.loads((tmp_path / "out" / "training.json").read_text())["plan"]["world"] == 2
    assert "in 2 processes" in done.stderr
    with pytest.raises(StudyError, match="begun with 2 processes, this is one of 1"):
        (tmp_path / "out" / "result.json").unlink()
        settings = json.loads((tmp_path / "out" / "training.json").read_text())["settings"]
        run(FullSettings(**settings), tmp_path / "out")

"""Many networks trained on the same weights: rounds, workers, interruptions, failures, scores, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nasfit.architecture import Architecture
from nasfit.errors import StudyError, TrialFailure
from nasfit.models import build
from nasfit.models.shared import SharedWeights
from nasfit.tasks import ClassificationData, load
from nasfit.training import shared_rounds
from nasfit.training.recipe import Recipe
from nasfit.training.shared_file import (
    SharedFacts,
    inherited_state,
    read_facts,
    read_shared,
    write_inherited,
    write_shared,
)
from nasfit.training.shared_rounds import train_together
from nasfit.training.shared_scoring import Scored, ScoringJob, recalibrate, run_scoring
from nasfit.training.shared_training import cycle_rate, members_in_turn
from nasfit.training.starting import start_from

TEXT = "in3@24 stem8s2 | {} k{} s2 se0 none f16 n{} | {} k3 s2 se0.25 identity f24 n2 | head32 out3 relu"
MEMBERS = (TEXT.format("mbconv3", 3, 1, "conv"), TEXT.format("mbconv6", 5, 2, "sepconv"))
ODD = TEXT.format("sepconv", 3, 1, "conv")
RECIPE = Recipe(images=640, peak_rate=0.1)


@pytest.fixture(scope="module")
def data(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassificationData:
    return load(pictures, cache=tmp_path_factory.mktemp("decoded"))


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    weights = SharedWeights.fresh([Architecture.parse(text) for text in (*MEMBERS, ODD)])
    path = tmp_path / "weights.safetensors"
    write_shared(path, weights, SharedFacts((*MEMBERS, ODD)))
    return path


def serially(function: Callable[[Any], Any], payloads: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    yield from ((index, function(payload)) for index, payload in enumerate(payloads))


def learn(
    start: Path,
    data: ClassificationData,
    scratch: str,
    *,
    members: tuple[str, ...] = MEMBERS,
    workers: int = 1,
    run: Any = serially,
    recipe: Recipe = RECIPE,
) -> tuple[SharedWeights, SharedFacts]:
    directory = start.parent / scratch
    directory.mkdir(exist_ok=True)
    assert data.directory is not None
    return train_together(run, workers, start, members, data.directory, recipe, seed=3, scratch=directory)


def test_networks_learn_together(start: Path, data: ClassificationData) -> None:
    weights, facts = learn(start, data, "a")
    assert (facts.images, facts.failures, facts.training) == (640, {}, "")
    write_shared(start, weights, facts)
    assert data.directory is not None
    for text in MEMBERS:
        scored = run_scoring(ScoringJob(str(start), text, str(data.directory), 0))
        assert scored.accuracy > 0.8, text


def test_rounds_interrupted_anywhere_end_in_the_same_weights(
    start: Path, data: ClassificationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_rounds, "ROUND_STEPS", 3)
    recipe = RECIPE.lasting(320)
    whole, _ = learn(start, data, "whole", workers=2, recipe=recipe)
    calls = 0

    def cut(function: Callable[[Any], Any], payloads: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        nonlocal calls
        calls += 1
        for index, payload in enumerate(payloads):
            if calls == 2 and index == 1:
                raise KeyboardInterrupt
            yield index, function(payload)

    with pytest.raises(KeyboardInterrupt):
        learn(start, data, "cut", workers=2, run=cut, recipe=recipe)
    assert read_facts(start.parent / "cut" / shared_rounds.UNFINISHED).steps == 3
    resumed, facts = learn(start, data, "cut", workers=2, run=cut, recipe=recipe)
    assert torch.equal(resumed.values, whole.values)
    assert facts.images == 320
    # Another training does not go on with what this one left.
    other, _ = learn(start, data, "cut", workers=2, recipe=replace(recipe, peak_rate=0.05))
    assert not torch.equal(other.values, whole.values)


def test_a_member_that_diverges_is_left_out_and_harms_no_other(start: Path, data: ClassificationData) -> None:
    weights, facts, _ = read_shared(start)
    for name, value in weights.named_values():
        if ".sepconv.depthwise.weight" in name and name.startswith("block1"):
            value.fill_(float("nan"))
    write_shared(start, weights, facts)
    trained, facts = learn(start, data, "a", members=(*MEMBERS, ODD))
    assert list(facts.failures) == [ODD]
    assert "loss is nan" in facts.failures[ODD]
    for text in MEMBERS:
        assert all(
            bool(parameter.isfinite().all()) for parameter in trained.extract(Architecture.parse(text)).parameters()
        )


def test_what_a_lost_worker_had_learned_is_lost_alone(start: Path, data: ClassificationData) -> None:
    def lossy(function: Callable[[Any], Any], payloads: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        for index, payload in enumerate(payloads):
            yield index, TrialFailure("its worker was ended") if index == 0 else function(payload)

    def lost(function: Callable[[Any], Any], payloads: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        yield from ((index, TrialFailure("its worker was ended")) for index, _ in enumerate(payloads))

    weights, _ = learn(start, data, "a", workers=2, run=lossy, recipe=RECIPE.lasting(128))
    assert not torch.equal(weights.values, read_shared(start)[0].values)
    with pytest.raises(TrialFailure, match="shared training: its worker was ended"):
        learn(start, data, "b", workers=2, run=lost)


def test_recalibration_sets_statistics_and_nothing_else(start: Path, data: ClassificationData) -> None:
    network = read_shared(start)[0].extract(Architecture.parse(MEMBERS[0]))
    before = {name: value.clone() for name, value in network.named_parameters()}
    seen: list[torch.Tensor] = []
    network.stem[0].register_forward_hook(lambda module, given, output: seen.append(output.detach()))
    recalibrate(network, data, images=64)
    torch.testing.assert_close(network.get_buffer("stem.1.running_mean"), torch.cat(seen).mean((0, 2, 3)))
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    assert not network.training


def test_a_score_after_its_own_training_leaves_the_shared_weights_alone(start: Path, data: ClassificationData) -> None:
    content = start.read_bytes()
    assert data.directory is not None
    job = ScoringJob(str(start), MEMBERS[1], str(data.directory), 0)
    untrained, tuned = run_scoring(job), run_scoring(replace(job, tuning=RECIPE))
    assert isinstance(untrained, Scored)
    assert tuned.accuracy > max(0.8, untrained.accuracy)
    assert start.read_bytes() == content


def test_an_ordinary_network_inherits_its_slices(start: Path) -> None:
    network = build(Architecture.parse(MEMBERS[0]))
    network.load_state_dict(inherited_state(start, network.architecture))
    window = read_shared(start)[0].window(network.architecture)
    images_BCHW = torch.randn(2, 3, 24, 24)
    torch.testing.assert_close(network(images_BCHW), window(images_BCHW))


def test_a_training_can_start_from_shared_weights(start: Path, tmp_path: Path) -> None:
    parent = Architecture.parse(MEMBERS[1])
    write_inherited(start, parent, tmp_path / "one.safetensors")
    child = build(parent)
    assert start_from(child, tmp_path / "one.safetensors") == 1.0
    ours = read_shared(start)[0].extract(parent).state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in child.state_dict().items())


def test_a_file_that_is_none_of_shared_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    for content in (b"", b"not weights at all"):
        path.write_bytes(content)
        for read in (read_shared, read_facts):
            with pytest.raises(StudyError, match="restore the file"):
                read(path)


def test_every_member_has_its_turn_in_every_pass() -> None:
    turns = members_in_turn(["a", "b", "c"], np.random.default_rng(0))
    passes = ["".join(next(turns) for _ in range(3)) for _ in range(20)]
    assert all(sorted(each) == ["a", "b", "c"] for each in passes)
    assert len(set(passes)) > 1


def test_the_rate_rises_to_the_peak_and_falls_to_nothing() -> None:
    recipe = Recipe(images=32 * 200, peak_rate=0.4, warm_up=0.25)
    rates = [cycle_rate(step, recipe) for step in range(200)]
    assert max(rates) == pytest.approx(0.4, rel=1e-3)
    assert rates.index(max(rates)) in (49, 50)
    assert rates[0] < 0.01
    assert rates[-1] < 0.001

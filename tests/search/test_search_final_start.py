"""Final trainings that begin with trained weights, and who is told so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from nasfit.architecture import published
from nasfit.search import finale
from nasfit.search.entrants import Entrant, promotions
from nasfit.search.finale import promoted, trained_fully
from nasfit.search.inherited import DIRECTORY, DOCUMENT, weights_of
from nasfit.search.setup import Setup
from nasfit.study import Proposal, TrialState
from nasfit.training import TrainingJob, run_training

Opener = Callable[..., Setup]


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finale, "_final_images", lambda *_: 64)


def texts_of(setup: Setup, *widths: float) -> list[str]:
    return [str(setup.fitted(published("mnasnet-small", width))) for width in widths]


def with_trials(setup: Setup, *texts: str) -> None:
    trials = setup.study.propose([Proposal((place,), text, seed=0) for place, text in enumerate(texts)])
    setup.study.finish(
        [
            replace(trial, state=TrialState.COMPLETE, accuracy=0.5, latency_ms=1.0, reward=0.5, seconds={"train": 0.1})
            for trial in trials
        ]
    )


def test_networks_found_start_from_their_promotion_and_baselines_from_nothing(
    opened: Opener, few_pictures: None
) -> None:
    setup = opened(final_start="inherited")
    texts = texts_of(setup, 0.25, 0.35)
    with_trials(setup, *texts)
    models = setup.study.path / "models"
    models.mkdir()
    (models / "promoted-before.safetensors").touch()
    list(promoted(setup))
    assert set(promotions(setup)) == set(texts)
    assert len(list(models.iterdir())) == 2
    chosen = [Entrant("found-1", "found", texts[0]), Entrant("mobilenet-v2 x0.25", "baseline", texts[1])]
    list(trained_fully(setup, chosen, 10.0))
    finals = setup.study.document("finals")
    assert finals["found-1"]["inherited"] == 1
    assert finals["mobilenet-v2 x0.25"]["inherited"] == 0


def test_from_scratch_nothing_is_kept_of_promotions(opened: Opener, few_pictures: None) -> None:
    setup = opened()
    texts = texts_of(setup, 0.25, 0.35)
    with_trials(setup, *texts)
    list(promoted(setup))
    list(trained_fully(setup, [Entrant("found-1", "found", texts[0])], 10.0))
    assert setup.study.document("finals")["found-1"]["inherited"] == 0
    assert [file.name for file in (setup.study.path / "models").iterdir()] == ["found-1.safetensors"]


def test_a_network_that_was_not_promoted_starts_from_the_nearest_parent(opened: Opener, few_pictures: None) -> None:
    setup = opened(final_start="inherited")
    found, near, far = texts_of(setup, 0.35, 0.25, 1.0)
    (setup.study.path / DIRECTORY).mkdir()
    for text in (near, far):
        job = TrainingJob(text, str(setup.data_directory), finale.proxy_job(setup, text, 0).recipe, seed=0)
        run_training(replace(job, weights=str(setup.study.path / weights_of(text))))
    setup.study.put_document(DOCUMENT, {text: {"accuracy": 0.5, "seconds": 0.1} for text in (far, near)})
    entrant = Entrant("found-1", "found", found)
    assert finale._head_start(setup, entrant) == str(setup.study.path / weights_of(near))
    list(trained_fully(setup, [entrant], 10.0))
    assert 0 < setup.study.document("finals")["found-1"]["inherited"] < 1


def test_without_trained_weights_it_starts_from_nothing(opened: Opener) -> None:
    setup = opened(final_start="inherited")
    (text,) = texts_of(setup, 0.25)
    assert finale._head_start(setup, Entrant("found-1", "found", text)) is None


def test_what_was_trained_on_another_machine_is_trained_again(opened: Opener, few_pictures: None) -> None:
    setup = opened()
    texts = texts_of(setup, 0.25, 0.35)
    chosen = [Entrant(f"found-{place}", "found", text) for place, text in enumerate(texts)]
    list(trained_fully(setup, chosen, 1.0))
    here, there = (setup.study.path / entrant.weights for entrant in chosen)
    content, kept = load_file(there), here.stat()
    there.unlink()
    list(trained_fully(setup, chosen, 1.0))
    assert_close(load_file(there), content, rtol=0, atol=0)
    assert here.stat().st_mtime_ns == kept.st_mtime_ns

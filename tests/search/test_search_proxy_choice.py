"""How short a training may be: which networks tell, what is trained, what is chosen, and that it goes on."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from nasfit.architecture import Block, count
from nasfit.errors import StudyError, UsageError
from nasfit.latency.ranking_correlations import kendall
from nasfit.search import ProxyChosen, ProxySettings, ProxyStep, Settings, check_proxy, proxy_study
from nasfit.search.proxy_choice import proxy_choice, rising
from nasfit.search.proxy_design import Design, affordable_full, budgets_of, farthest, spread
from nasfit.search.proxy_trainings import Kept, known
from nasfit.space import BlockChoices, SearchSpace, named_space
from nasfit.study import Study

# Eight networks that train in hundredths of a second.
SPACE = SearchSpace(
    "own",
    (
        BlockChoices(
            (8, 16), (1, 2), stride=2, ops=("sepconv", "conv"), kernels=(3,), se_ratios=(0.0,), skips=("none",)
        ),
        Block("sepconv", 3, 2, 0.0, "none", 8, 1),
    ),
    stem_filters=8,
    head_filters=16,
)
NETWORKS = tuple("abcde")


def kept(design: Design, accuracies: dict[int, list[list[float]]]) -> Kept:
    """Trainings as a study keeps them: of each number of pictures the accuracies, a list a seed."""
    rows = {}
    for images, of_seeds in accuracies.items():
        kinds = design.long if images == design.full else design.short(images)
        for trainings, values in zip(kinds, of_seeds, strict=True):
            for training, value in zip(trainings, values, strict=True):
                rows[training.key] = {"accuracy": value, "seconds": images / 100}
    return rows


UP, DOWN = [0.1, 0.2, 0.3, 0.4, 0.5], [0.5, 0.4, 0.3, 0.2, 0.1]
NEARLY = [0.1, 0.2, 0.3, 0.5, 0.4]  # tau 0.8 with UP


def test_networks_lie_far_apart_in_size_and_in_decisions() -> None:
    space = named_space("mnasnet")
    chosen = spread(space, space.decode, 8, seed=0)
    points, networks = [point for point, _ in chosen], [network for _, network in chosen]
    assert [space.decode(point) for point in points] == networks
    assert len({str(network) for network in networks}) == 8
    assert spread(space, space.decode, 8, seed=0) == chosen != spread(space, space.decode, 8, seed=1)
    generator = np.random.default_rng(1)
    random = [space.decode(row) for row in generator.integers(space.option_counts, size=(320, len(points[0])))]
    sizes, all_sizes = ([count(one).madds for one in some] for some in (networks, random))
    assert min(sizes) < np.quantile(all_sizes, 0.1) and max(sizes) > np.quantile(all_sizes, 0.9)


def test_the_farthest_point_is_the_one_whose_nearest_is_farthest() -> None:
    tokens, sizes = np.array([[0], [0], [0], [1], [1]]), np.array([0.0, 0.5, 1.0, 0.1, 0.9])
    # From the median 0.5 on: 0.1 and 0.9 differ in the decision as well, 1 + 0.4; then 0.9 is 0.8 from 0.1, 0 is 0.5.
    assert farthest(tokens, sizes, 4) == [1, 3, 4, 0]


def test_a_space_with_fewer_networks_says_so() -> None:
    assert len(spread(SPACE, SPACE.decode, 8, seed=0)) == 8
    with pytest.raises(UsageError, match="'own' has 8 networks"):
        spread(SPACE, SPACE.decode, 9, seed=0)


def test_short_and_full_trainings_have_seeds_of_their_own_and_the_longest_come_first() -> None:
    design = Design(NETWORKS, (10, 20), 100, seeds=2, seed=5)
    assert len(design.trainings) == len({one.key for one in design.trainings}) == 5 * 2 * 3
    assert [one.images for one in design.trainings] == [100] * 10 + [20] * 10 + [10] * 10
    seeds = {images: {one.seed for one in design.trainings if one.images == images} for images in (10, 20, 100)}
    assert seeds == {10: {5, 6}, 20: {5, 6}, 100: {7, 8}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"networks": ("a", "b", "c", "d")}, "--networks is 4; fewer than 5"),
        ({"seeds": 0}, "--seeds is 0"),
        ({"budgets": ()}, "short trainings are of no pictures"),
        ({"budgets": (20, 10)}, "are of 20, 10 pictures, the full one of 100"),
        ({"budgets": (10, 100)}, "rise from 1 to below the full one"),
        ({"budgets": (0, 10)}, "rise from 1"),
    ],
)
def test_designs_that_tell_nothing_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        replace(Design(NETWORKS, (10, 20), 100), **changes)  # type: ignore[arg-type]


def test_lengths_follow_from_the_time() -> None:
    # Two networks, 100 and 50 pictures a second, full and half: 1.5 x (0.01 + 0.02) s a picture of the full training.
    assert affordable_full(90.0, [100.0, 50.0], 1, shares=(0.5,)) == 2000
    assert affordable_full(90.0, [100.0, 50.0], 2, shares=(0.5,)) == 1000
    assert budgets_of(16_000) == (500, 1000, 2000, 4000, 8000)
    assert budgets_of(1000) == (500,)
    assert budgets_of(400) == ()


def test_the_shortest_that_meets_the_wish_is_chosen() -> None:
    design = Design(NETWORKS, (10, 20, 50), 100)
    rows = kept(design, {10: [DOWN], 20: [NEARLY], 50: [UP], 100: [UP]})
    choice = proxy_choice(design, rows, 0.8)
    assert choice.images == 20
    assert [length.agreement.tau for length in choice.lengths if length.agreement] == pytest.approx([-1.0, 0.8, 1.0])
    assert [length.share for length in choice.lengths] == [0.1, 0.2, 0.5]
    assert choice.lengths[0].seconds == pytest.approx(0.1) and choice.full_s == pytest.approx(1.0)
    assert "20 pictures are the fewest that rank with tau 0.8 or more" in choice.verdict
    assert "5 networks leave open whether it is 0.8 or more" in choice.verdict
    sure = proxy_choice(design, rows, 0.9)
    assert sure.images == 50 and "leave open" not in sure.verdict
    assert choice.ceiling is None


def test_none_that_meets_it_is_said() -> None:
    design = Design(NETWORKS, (10, 20), 100)
    choice = proxy_choice(design, kept(design, {10: [DOWN], 20: [NEARLY], 100: [UP]}), 0.9)
    assert choice.images is None
    assert "no length tried ranks these 5 networks with tau 0.9 or more; the longest, 20 pictures" in choice.verdict


def test_a_short_training_that_was_lucky_is_not_chosen() -> None:
    design = Design(NETWORKS, (10, 20, 50), 100)
    choice = proxy_choice(design, kept(design, {10: [UP], 20: [DOWN], 50: [UP], 100: [UP]}), 0.8)
    assert [length.evened for length in choice.lengths] == pytest.approx([0.0, 0.0, 1.0])
    assert choice.images == 50
    assert rising([0.1, 0.5, 0.3, 0.4, 0.9]) == pytest.approx([0.1, 0.4, 0.4, 0.4, 0.9])


def test_seeds_are_averaged_and_the_full_training_is_checked_against_itself() -> None:
    design = Design(NETWORKS, (10,), 100, seeds=2)
    other = [0.1, 0.3, 0.2, 0.4, 0.5]
    choice = proxy_choice(design, kept(design, {10: [UP, DOWN], 100: [UP, other]}), 0.8)
    full = np.mean([UP, other], axis=0)
    (length,) = choice.lengths
    assert length.agreement is not None and choice.ceiling is not None
    assert length.agreement.tau == pytest.approx((kendall(UP, full) + kendall(DOWN, full)) / 2)
    assert choice.ceiling.tau == pytest.approx(0.8)
    assert choice.full_accuracies == pytest.approx(full)


def test_a_network_whose_training_failed_is_left_out_and_too_few_are_an_error() -> None:
    design = Design((*NETWORKS, "f"), (10,), 100)
    rows = kept(design, {10: [[*UP, 0.9]], 100: [[*UP, 0.0]]})
    rows[design.short(10)[0][5].key] = {"failed": "diverged"}
    choice = proxy_choice(design, rows, 0.8)
    assert (choice.networks, choice.left_out, choice.images) == (NETWORKS, {"f": "diverged"}, 10)
    rows[design.long[0][0].key] = {"failed": "diverged"}
    with pytest.raises(StudyError, match="only 4 networks could be trained, too few to rank; the first failed: div"):
        proxy_choice(design, rows, 0.8)


def settings(pictures: Path, **changes: object) -> ProxySettings:
    values = {"data": str(pictures), "networks": 5, "width": 1.0, "budgets": (32, 64), "full": 96, "workers": 2}
    return ProxySettings(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_check_that_is_cut_goes_on_and_repeats_nothing(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, path = settings(pictures, workers=1), tmp_path / "study"
    running = check_proxy(wanted, path, SPACE)
    steps = list(islice((event for event in running if isinstance(event, ProxyStep)), 4))
    running.close()  # type: ignore[attr-defined]
    assert [(step.done, step.of) for step in steps] == [(number, 15) for number in range(4)]
    with Study.open(path, read_only=True) as study:
        before = known(study)
    assert len(before) == 3
    done = list(check_proxy(wanted, path, SPACE))
    assert next(event for event in done if isinstance(event, ProxyStep)) == ProxyStep(3, 15)
    assert isinstance(done[-1], ProxyChosen)
    with Study.open(path, read_only=True) as study:
        after = known(study)
    assert len(after) == 15 and {key: after[key] for key in before} == before
    monkeypatch.setattr(proxy_study, "Pool", lambda workers: nullcontext())
    again = list(check_proxy(replace(wanted, wish=0.1, workers=2), path, SPACE))
    assert again[-1].choice.lengths == done[-1].choice.lengths and again[-1].choice.wish == 0.1  # type: ignore[union-attr]
    with pytest.raises(StudyError, match="full"):
        list(check_proxy(replace(wanted, full=128), path, SPACE))


def test_without_a_full_length_the_time_decides(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy_study, "speeds_of", lambda networks, *_: [1000.0] * len(networks))
    monkeypatch.setattr(proxy_study, "trained", lambda *_: iter(()))
    wanted = settings(pictures, budgets=None, full=None, budget_s=10.0)
    with pytest.raises(KeyError):  # nothing is trained
        list(check_proxy(wanted, tmp_path / "study", SPACE))
    with Study.open(tmp_path / "study", read_only=True) as study:
        design = study.document("plan")
    # 0.85 x 10 s x 2 workers for 5 networks at 1,000 a second, 1.97 times the full training.
    assert design["full"] == int(17 * 1000 / 5 / (1 + 31 / 32))
    assert design["budgets"] == [430, 860]


def test_a_search_is_not_taken_for_a_check(pictures: Path, tmp_path: Path) -> None:
    with Study.create(tmp_path / "study", Settings(str(pictures), 1.0).as_json()) as study:
        study.put_document("plan", {"width": 1.0})
    with pytest.raises(StudyError, match="holds a search, not a proxy check"):
        list(check_proxy(settings(pictures), tmp_path / "study"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wish": 0.0}, "the wish is 0.0"),
        ({"networks": 2}, "--networks is 2"),
        ({"budgets": (64, 32)}, "rise"),
        ({"budgets": None, "full": 200}, "--full is 200 pictures, which leaves no shorter"),
        ({"strides": "lat"}, "did you mean 'late'"),
        ({"budget_s": -1.0}, "--budget"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(pictures: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settings(pictures, **changes)

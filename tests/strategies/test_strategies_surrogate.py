"""The models of the guided strategy against formulas written out anew, and what they learn of planted functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from nasfit.errors import UsageError
from nasfit.strategies.guided_models import Known, Model, accuracy_model, hint_from, latency_model
from nasfit.strategies.structure import possible_groups
from nasfit.strategies.surrogate import LOG, LOG_ERROR, PLAIN, Form, Surrogate, Warp, fit
from nasfit.strategies.surrogate_kernel import Kernel
from nasfit.strategies.surrogate_layout import MOST_CELLS, Encoded, Layout

Values = Callable[[np.ndarray], np.ndarray]

LAYOUTS = {
    "blocks alike": Layout((3, 2, 3, 2) * 3, (4, 4, 4)),
    "unequal options in one role": Layout((3, 2, 3, 2) * 2 + (3, 2, 5, 2), (4, 4, 4)),
    "unlike blocks": Layout((3, 4, 2), (1, 2)),
    "one decision": Layout((3,), (1,)),
    "single decisions": Layout((2, 3, 2, 5), (1, 1, 1, 1)),
    "decisions of one option": Layout((1, 4, 1, 2), (4,)),
    "a block too large for a table": Layout((6,) * 5 + (2, 2), (5, 2)),
}

COUNTS, GROUPS = (4, 2, 3, 3) * 4, (4,) * 4


def anywhere(counts: tuple[int, ...], number: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(counts, size=(number, len(counts)))


def encoded(layout: Layout, number: int, seed: int, hints: int) -> Encoded:
    points = anywhere(layout.option_counts, number, seed)
    return layout.encoded(points, np.random.default_rng(seed).normal(size=(number, hints)))


def repeated(points: Encoded, times: int) -> Encoded:
    return points.rows(np.tile(np.arange(len(points)), times))


def some_amplitudes(kernel: Kernel) -> np.ndarray:
    return np.random.default_rng(5).uniform(0.1, 1.0, len(kernel.families))


def blockwise(seed: int) -> Values:
    """A sum over blocks of products of what each option does, the same in all blocks but for a factor."""
    generator = np.random.default_rng(seed)
    options = [np.exp(0.8 * generator.normal(size=count)) for count in COUNTS[:4]]
    factors = generator.uniform(0.5, 1.5, len(GROUPS))

    def values(points_ND: np.ndarray) -> np.ndarray:
        blocks = points_ND.reshape(len(points_ND), len(GROUPS), 4)
        product = np.prod([effect[blocks[:, :, role]] for role, effect in enumerate(options)], axis=0)
        return np.asarray(product @ factors)

    return values


def additive(seed: int) -> Values:
    """A sum over decisions, of mean 0 and deviation 1 or so over the space."""
    generator = np.random.default_rng(seed)
    effects = [generator.normal(size=count) for count in COUNTS]
    effects = [effect - effect.mean() for effect in effects]
    scale = math.sqrt(sum(effect.var() for effect in effects))
    return lambda points: sum(effect[points[:, place]] for place, effect in enumerate(effects)) / scale


def known(points: np.ndarray, values: np.ndarray) -> Known:
    return Known(points, values, values)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one, other)[0, 1])


# The kernel.


@pytest.mark.parametrize("hints", [0, 2])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_covariance_is_the_weighted_sum_of_the_terms(layout: Layout, hints: int) -> None:
    kernel = Kernel(layout, hints)
    a, b, amplitudes = encoded(layout, 40, 0, hints), encoded(layout, 30, 1, hints), some_amplitudes(kernel)
    terms = list(kernel.terms(a, b))
    assert len(terms) == len(kernel.families)
    expected = 1 + sum(weight * term for weight, term in zip(amplitudes, terms, strict=True))
    np.testing.assert_allclose(kernel.combined(a, b, amplitudes), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_term_is_a_covariance_of_about_1(layout: Layout) -> None:
    kernel, points = Kernel(layout, hints=1), encoded(layout, 80, 0, hints=1)
    for family, term in zip(kernel.families, kernel.terms(points, points), strict=True):
        np.testing.assert_allclose(term, term.T, atol=1e-12)
        assert np.linalg.eigvalsh(term).min() > -1e-9, family
        assert np.diag(term).mean() < 1.6, family
        assert np.diag(term).mean() > 0.02 or 1 in layout.option_counts, family


def alike(layout: Layout, place: int, one: int, other: int) -> float:
    """1 for the same option, less than 0 for another so that the mean over all columns is 0."""
    width = layout.widths[place]
    return 0.0 if width == 1 else 1.0 if one == other else -1 / (width - 1)


def test_terms_by_their_meaning() -> None:
    layout = Layout((3, 2, 3, 4), (2, 2))
    kernel = Kernel(layout)
    a, b = anywhere(layout.option_counts, 6, 0), anywhere(layout.option_counts, 5, 1)
    terms = dict[str, list[np.ndarray]]()
    for family, term in zip(kernel.families, kernel.terms(layout.encoded(a), layout.encoded(b)), strict=True):
        terms.setdefault(family, []).append(term)
    assert {family: len(found) for family, found in terms.items()} == {
        "decision": 4,
        "role": 2,
        "block": 2,
        "role pairs": 1,
        "neighbours": 1,
        "any pair": 1,
    }
    assert layout.widths == (3, 4, 3, 4), "an option in one block is likened to the same option in the other"
    for (i, x), (j, y) in itertools.product(enumerate(a.tolist()), enumerate(b.tolist())):
        own = [alike(layout, place, x[place], y[place]) for place in range(4)]
        assert [term[i, j] for term in terms["decision"]] == pytest.approx(own)
        for role in range(2):
            across = [alike(layout, role, x[2 * g + role], y[2 * h + role]) for g in range(2) for h in range(2)]
            assert terms["role"][role][i, j] == pytest.approx(sum(across) / 2)
        # (1 + k / 2) (1 + k' / 2) less what each does alone: k k' / 4, of at most 1 / 4.
        assert [term[i, j] for term in terms["block"]] == pytest.approx([own[0] * own[1], own[2] * own[3]])
        pairs = [
            alike(layout, 0, x[2 * g], y[2 * h]) * alike(layout, 1, x[2 * g + 1], y[2 * h + 1])
            for g in range(2)
            for h in range(2)
        ]
        assert terms["role pairs"][0][i, j] == pytest.approx(sum(pairs) / 2)
        assert terms["neighbours"][0][i, j] == pytest.approx((own[0] + own[1]) * (own[2] + own[3]) / 4)
        assert terms["any pair"][0][i, j] == pytest.approx((sum(own) / 4) ** 2)


def test_a_block_too_large_for_a_table_has_none() -> None:
    layout = LAYOUTS["a block too large for a table"]
    assert MOST_CELLS < 6**5 and set(layout.tables) == {1}


@pytest.mark.parametrize("groups", [(), (4,), (4, 3), (4, 4, 4), (9, -1), (8, 0)])
def test_groups_that_do_not_add_up_are_refused(groups: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="number of decisions of each block"):
        Layout((2,) * 8, groups)
    with pytest.raises(UsageError, match="number of decisions of each block"):
        Model((2,) * 8, groups)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_surfaces_are_weighted_sums_of_covariances(layout: Layout) -> None:
    kernel = Kernel(layout, hints=1)
    data, points, amplitudes = encoded(layout, 40, 0, 1), encoded(layout, 30, 1, 1), some_amplitudes(kernel)
    weights = np.random.default_rng(2).normal(size=(3, 40))
    surface = kernel.surfaces(data, weights, amplitudes, None)
    expected = weights @ kernel.combined(data, points, amplitudes)
    np.testing.assert_allclose(surface(repeated(points, 3), (3, 30)), expected, rtol=1e-9, atol=1e-9)
    share = np.array([0.0, 1.0, -2.0])
    summed = surface.plus(kernel.surfaces(data, weights[::-1], amplitudes, None), share)
    expected += share[:, None] * (weights[::-1] @ kernel.combined(data, points, amplitudes))
    np.testing.assert_allclose(summed(repeated(points, 3), (3, 30)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_drawn_surfaces_have_the_kernels_covariance(layout: Layout) -> None:
    kernel, functions, number = Kernel(layout, hints=1), 1500, 5
    data, points = encoded(layout, 2, 0, 1), encoded(layout, number, 1, 1)
    for family in ("all", *dict.fromkeys(kernel.families)):
        amplitudes = np.array([float(family in ("all", own)) for own in kernel.families])
        surface = kernel.surfaces(data, np.zeros((functions, 2)), amplitudes, np.random.default_rng(3))
        values = surface(repeated(points, functions), (functions, number))
        expected = kernel.combined(points, points, amplitudes)
        # 4.5 standard errors of each entry.
        error = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / functions)
        assert (np.abs(values.T @ values / functions - expected) < 4.5 * error).all(), family


# The model.


@pytest.mark.parametrize("warp", [PLAIN, LOG_ERROR, LOG], ids=lambda warp: warp.name)
def test_the_posterior_is_that_of_the_textbook(warp: Warp) -> None:
    layout = Layout(COUNTS, GROUPS)
    kernel, generator = Kernel(layout), np.random.default_rng(0)
    amplitudes, noise = some_amplitudes(kernel) / len(kernel.families), 0.5
    data, points = encoded(layout, 50, 0, 0), encoded(layout, 20, 1, 0)
    values = generator.uniform(0.3, 0.9, 50)
    model = Surrogate(Form(kernel, amplitudes, noise, warp), data, values)

    there = {"plain": lambda y: y, "log error": lambda y: -np.log(1 - y), "log": np.log}[warp.name]
    back = {"plain": lambda z: z, "log error": lambda z: 1 - np.exp(-z), "log": np.exp}[warp.name]
    center, scale = there(values).mean(), there(values).std()
    inverse = np.linalg.inv(kernel.combined(data, data, amplitudes) + noise * np.eye(50))
    across = kernel.combined(points, data, amplitudes)
    mean = across @ inverse @ (there(values) - center) / scale
    covariance = kernel.combined(points, points, amplitudes) - across @ inverse @ across.T

    np.testing.assert_allclose(model.mean(points), back(center + scale * mean), rtol=1e-9)
    apart_mean, deviation = model.apart(points)
    np.testing.assert_allclose(apart_mean, mean, rtol=1e-9)
    np.testing.assert_allclose(deviation, np.sqrt(np.diag(covariance)), rtol=1e-7)
    np.testing.assert_allclose(model.unwarped(apart_mean), model.mean(points), rtol=1e-12)

    functions = 2500
    surface = model.surfaces(1, functions - 1, generator)
    on_surfaces = surface(repeated(points, functions), (functions, 20))
    np.testing.assert_allclose(on_surfaces[0], model.mean(points), rtol=1e-9)
    error = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / functions)
    for drawn in (model.draws(points, functions, generator), on_surfaces[1:]):
        off = (there(drawn) - center) / scale - mean
        assert (np.abs(off.mean(axis=0)) < 4.5 * np.sqrt(np.diag(covariance) / functions)).all()
        assert (np.abs(off.T @ off / len(off) - covariance) < 5 * error).all()


def test_what_is_told_without_noise_is_said_again() -> None:
    points = anywhere(COUNTS, 60, 0)
    values = additive(0)(points)
    model = Model(COUNTS, GROUPS).conditioned(known(points, values))
    np.testing.assert_allclose(model.mean(points), values, atol=0.05)


def test_the_candidates_of_each_function_are_judged_by_that_function() -> None:
    points = anywhere(COUNTS, 40, 0)
    model = Model(COUNTS, GROUPS).conditioned(known(points, additive(0)(points)))
    function = model.surfaces(1, 2, np.random.default_rng(0))
    stacked = np.stack([points[:10], points[10:20], points[20:30]])
    values = function(stacked)
    assert values.shape == (3, 10)
    np.testing.assert_allclose(values[0], model.mean(points[:10]))
    same = function(np.stack([points[10:20]] * 3))
    np.testing.assert_allclose(values[1], same[1])
    assert np.abs(same[1] - same[2]).max() > 1e-3, "two functions drawn, not one"


def test_each_point_by_itself_has_the_spread_of_the_joint_draws() -> None:
    points, others = anywhere(COUNTS, 40, 0), anywhere(COUNTS, 12, 1)
    model = Model(COUNTS, GROUPS).conditioned(known(points, additive(0)(points)))
    joint = model.draws(others, 4000, np.random.default_rng(0))
    apart = model.apart(others, np.random.default_rng(1).standard_normal((4000, 1)))
    np.testing.assert_allclose(apart.std(axis=0), joint.std(axis=0), rtol=0.1)
    np.testing.assert_allclose(apart.mean(axis=0), joint.mean(axis=0), atol=0.05)


# What is learnt.


def by_decisions_alone(points: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Ridge regression on a column an option."""
    rows, wanted = (
        np.concatenate([np.eye(count)[p[:, place]] for place, count in enumerate(COUNTS)], axis=1)
        for p in (points, asked)
    )
    solved = np.linalg.solve(rows.T @ rows + np.eye(rows.shape[1]), rows.T @ (values - values.mean()))
    return np.asarray(values.mean() + wanted @ solved)


@pytest.mark.parametrize("seed", range(3))
def test_what_options_of_a_block_do_together_is_learnt(seed: int) -> None:
    function, points, held_out = blockwise(seed), anywhere(COUNTS, 80, 7), anywhere(COUNTS, 300, 8)
    model = Model(COUNTS, GROUPS).conditioned(known(points, function(points)))
    of_model = correlation(model.mean(held_out), function(held_out))
    of_sum = correlation(by_decisions_alone(points, function(points), held_out), function(held_out))
    assert of_model > 0.9
    assert 1 - of_model**2 < 0.5 * (1 - of_sum**2), "half of what a sum over decisions leaves unexplained"


def test_a_sum_over_decisions_is_learnt_from_few_points() -> None:
    function, points, held_out = additive(0), anywhere(COUNTS, 60, 0), anywhere(COUNTS, 300, 1)
    model = Model(COUNTS, GROUPS).conditioned(known(points, function(points)))
    assert correlation(model.mean(held_out), function(held_out)) > 0.995


def test_blocks_that_nobody_named_are_found() -> None:
    # Option counts alone speak for blocks of two; what was told speaks for blocks of four.
    counts = (3,) * 16
    table = np.random.default_rng(0).normal(size=(3,) * 4)
    points = anywhere(counts, 130, 0)
    values = sum(table[tuple(points[:, 4 * g : 4 * g + 4].T)] for g in range(4))
    model = Model(counts, None)
    assert model.conditioned(known(points[:12], values[:12])).form.kernel.layout.groups == (2,) * 8
    assert model.conditioned(known(points, values)).form.kernel.layout.groups == (4,) * 4


@pytest.mark.parametrize(
    ("counts", "likeliest"),
    [
        ((4, 2, 3, 3) * 4, (4,) * 4),
        ((4, 2, 3, 3) * 3 + (4, 2, 3, 2), (4,) * 4),
        ((3,) * 12, (2,) * 6),
        ((3, 4, 5), (1, 1, 1)),
        ((3,), (1,)),
    ],
)
def test_option_counts_suggest_blocks(counts: tuple[int, ...], likeliest: tuple[int, ...]) -> None:
    groups = possible_groups(counts)
    assert groups[0] == likeliest
    assert groups[-1] == (1,) * len(counts) and len(set(groups)) == len(groups)
    assert all(sum(cut) == len(counts) and len(set(cut)) == 1 for cut in groups)


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.0, 0.01), (0.1, 0.04, 0.2), (0.5, 0.2, 0.7)])
def test_the_share_of_noise_is_recognised(share: float, least: float, most: float) -> None:
    points = anywhere(COUNTS, 150, 0)
    values = additive(0)(points)
    values = math.sqrt(1 - share) * values / values.std()
    values += math.sqrt(share) * np.random.default_rng(1).normal(size=len(values))
    form, _ = fit(Kernel(Layout(COUNTS, GROUPS)), Layout(COUNTS, GROUPS).encoded(points), values)
    assert least <= form.noise <= most


def test_terms_that_count_weigh_more_and_greater_evidence_says_so() -> None:
    layout, points = Layout(COUNTS, GROUPS), anywhere(COUNTS, 100, 0)
    values = 1.0 * points[:, 0] + 0.1 * np.random.default_rng(0).normal(size=100)
    form, evidence = fit(Kernel(layout), layout.encoded(points), values)
    assert np.argmax(form.amplitudes) == 0
    shuffled = np.random.default_rng(1).permutation(values)
    assert evidence > fit(Kernel(layout), layout.encoded(points), shuffled)[1] + 50


def test_the_evidence_is_that_of_the_values_whatever_their_unit() -> None:
    # A density: stretching all values by 100 divides it by 100 for each.
    layout, points = Layout(COUNTS, GROUPS), anywhere(COUNTS, 50, 0)
    values = additive(0)(points)
    plain, stretched = (fit(Kernel(layout), layout.encoded(points), scale * values)[1] for scale in (1, 100))
    assert stretched == pytest.approx(plain - 50 * math.log(100))


@pytest.mark.parametrize(
    ("make", "values", "name"),
    [
        (accuracy_model, lambda z: 1 - 0.2 * np.exp(0.4 * z), "log error"),
        (accuracy_model, lambda z: 0.5 + 0.05 * z, "plain"),
        (accuracy_model, lambda z: 70 + 5 * z, "plain"),
        (latency_model, lambda z: 5 * np.exp(0.5 * z), "log"),
        (latency_model, lambda z: 10 + 2 * z, "plain"),
    ],
)
def test_the_scale_in_which_effects_add_up_is_found(make: Callable[..., Model], values: Values, name: str) -> None:
    points = anywhere(COUNTS, 150, 0)
    told = known(points, values(additive(0)(points)))
    assert make(COUNTS, GROUPS, ()).conditioned(told).form.warp.name == name


@pytest.mark.parametrize("late", [1.0, 40.0])
def test_an_accuracy_of_1_or_more_may_come_late(late: float) -> None:
    points = anywhere(COUNTS, 12, 0)
    values = 1 - 0.2 * np.exp(0.4 * additive(0)(points))
    values[-1] = late  # after the points that the scale was chosen by
    model = accuracy_model(COUNTS, GROUPS, ())
    model.conditioned(known(points[:-1], values[:-1]))
    again = model.conditioned(known(points, values))
    assert again.form.warp is PLAIN
    assert np.isfinite(again.mean(anywhere(COUNTS, 20, 1))).all()


def test_a_model_follows_from_what_was_told_not_from_when_it_was_asked() -> None:
    points = anywhere(COUNTS, 100, 0)
    values, held_out = blockwise(0)(points), anywhere(COUNTS, 20, 1)
    often, once = Model(COUNTS, None), Model(COUNTS, None)
    for number in range(10, 101, 10):
        last = often.conditioned(known(points[:number], values[:number]))
    at_once = once.conditioned(known(points, values))
    np.testing.assert_array_equal(last.mean(held_out), at_once.mean(held_out))


def test_terms_are_weighed_anew_a_dozen_times_in_all() -> None:
    points = anywhere(COUNTS, 300, 0)
    values, model = blockwise(0)(points), Model(COUNTS, GROUPS)
    forms = [model.conditioned(known(points[:number], values[:number])).form for number in range(8, 120)]
    assert 8 < len({id(form) for form in forms}) < 14
    assert forms[0] is not forms[-1]
    late = [model.conditioned(known(points[:number], values[:number])).form for number in (250, 300)]
    assert late[0] is late[1]


def test_of_very_many_points_those_that_matter_and_the_latest_are_kept() -> None:
    counts = (10,) * 6
    points = np.unique(anywhere(counts, 900, 0), axis=0)[:800]
    values = np.random.default_rng(0).permutation(800) / 800
    model = Model(counts, (1,) * 6).conditioned(known(points, values))
    kept = {tuple(row) for row in model.surrogate.data.columns_NF.tolist()}
    assert len(kept) == 500
    columns = model.encoded(points).columns_NF
    needed = {*np.argsort(values)[-200:].tolist(), *range(650, 800)}
    assert {tuple(columns[place].tolist()) for place in needed} <= kept


# Hints.


@pytest.mark.parametrize("seed", range(3))
def test_with_a_good_hint_15_points_are_enough(seed: int) -> None:
    function, points, held_out = blockwise(seed), anywhere(COUNTS, 15, 7), anywhere(COUNTS, 300, 8)
    spread = function(held_out).std()

    def guess(asked: list[tuple[int, ...]]) -> np.ndarray:
        """In another unit, and a third of it wrong."""
        rows = np.array(asked)
        wrong = np.sin(rows @ np.arange(1, len(COUNTS) + 1) * 12.9898)
        return 1000 - 50 * (function(rows) + 0.4 * spread * wrong)

    told = known(points, function(points))
    alone, hinted = (accuracy_model(COUNTS, GROUPS, hints).conditioned(told) for hints in ((), (guess,)))
    assert correlation(hinted.mean(held_out), function(held_out)) > 0.85
    assert correlation(alone.mean(held_out), function(held_out)) < 0.8


@pytest.mark.parametrize("seed", range(3))
def test_a_useless_hint_does_little_harm(seed: int) -> None:
    function, points, held_out = blockwise(seed), anywhere(COUNTS, 80, 7), anywhere(COUNTS, 300, 8)
    told = known(points, function(points))
    useless = [lambda asked: additive(seed + 50)(np.array(asked)), lambda asked: [3.0] * len(asked)]
    alone, hinted = (accuracy_model(COUNTS, GROUPS, hints).conditioned(told) for hints in ([], useless))
    of_alone, of_hinted = (correlation(model.mean(held_out), function(held_out)) for model in (alone, hinted))
    assert of_hinted > of_alone - 0.05


def test_a_hint_from_points_known_elsewhere() -> None:
    function, points, held_out = blockwise(0), anywhere(COUNTS, 120, 0), anywhere(COUNTS, 100, 1)
    rows = [(tuple(point), value) for point, value in zip(points.tolist(), function(points).tolist(), strict=True)]
    hint = hint_from(COUNTS, GROUPS, rows)
    guesses = hint([tuple(row) for row in held_out.tolist()])
    assert len(guesses) == 100 and correlation(np.array(guesses), function(held_out)) > 0.9
    assert len(hint_from(COUNTS, None, rows)([rows[0][0]])) == 1


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [((0, 0), 0.5)],
        [((0, 0), 0.5), ((0, 2), 0.6)],
        [((0, 0), 0.5), ((0, -1), 0.6)],
        [((0, 0, 0), 0.5), ((0, 1, 1), 0.6)],
    ],
)
def test_a_hint_from_too_little_or_from_another_space_is_refused(rows: list[tuple[tuple[int, ...], float]]) -> None:
    with pytest.raises(UsageError, match=r"two points or more|outside the space"):
        hint_from((3, 2), None, rows)


@pytest.mark.parametrize(
    "hint",
    [
        lambda points: [0.5],
        lambda points: [0.5] * (len(points) + 1),
        lambda points: [math.nan] * len(points),
        lambda points: [[0.5]] * len(points),
    ],
)
def test_a_hint_without_one_number_a_point_is_refused(hint: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match="one finite number a point"):
        accuracy_model(COUNTS, GROUPS, (hint,))


def test_a_hint_that_fails_later_is_refused_then() -> None:
    def fickle(points: list[tuple[int, ...]]) -> list[float]:
        return [sum(point) / 10 if len(points) == 256 else math.nan for point in points]

    model, points = accuracy_model(COUNTS, GROUPS, (fickle,)), anywhere(COUNTS, 20, 0)
    with pytest.raises(UsageError, match="0 of them finite"):
        model.conditioned(known(points, additive(0)(points)))

"""Predictors on made-up devices whose latency, interactions and noise are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from nasfit.architecture import Architecture, count, layers
from nasfit.errors import UsageError
from nasfit.latency.predictor import Estimate, Predictor, worth_measuring
from nasfit.latency.predictor_form import TokenTable
from nasfit.latency.predictor_quality import Quality, held_out

Sampler = Callable[..., Iterator[Architecture]]

BLOCKS = 5
COUNTS = (3, 2, 3) * BLOCKS
TABLE = TokenTable(COUNTS, tuple(tuple(range(3 * block, 3 * block + 3)) for block in range(BLOCKS)))
NOISE = 0.01


def tokens(number: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, COUNTS, (number, len(COUNTS)))


def truth(tokens_ND: np.ndarray) -> np.ndarray:
    """A table of random costs a block (interacting inside), and 10 % more where two neighbours both take option 2."""
    costs = np.random.default_rng(7).gamma(2.0, 0.5, (BLOCKS, 3, 2, 3))
    total = np.full(len(tokens_ND), 2.0)
    for block in range(BLOCKS):
        op, kernel, depth = tokens_ND[:, 3 * block : 3 * block + 3].T
        total += costs[block, op, kernel, depth]
        if block:
            total *= 1 + 0.1 * ((op == 2) & (tokens_ND[:, 3 * block - 3] == 2))
    return total


def measured(tokens_ND: np.ndarray, seed: int) -> np.ndarray:
    return truth(tokens_ND) * np.exp(NOISE * np.random.default_rng(seed).standard_normal(len(tokens_ND)))


@pytest.fixture(scope="module")
def fitted() -> Predictor:
    known = tokens(300, seed=1)
    return Predictor.fit(known, measured(known, seed=2), table=TABLE, device="bench: X", engine="engine 1")


@pytest.fixture(scope="module")
def others() -> np.ndarray:
    return tokens(1500, seed=3)


def test_blocks_interactions_and_neighbours_are_learned(fitted: Predictor, others: np.ndarray) -> None:
    quality = Quality.of(fitted.predict(others), truth(others))
    assert quality.rmse_share < 2 * NOISE
    assert quality.within_5 > 0.98
    assert quality.spearman > 0.99


def test_a_table_of_single_options_does_worse(fitted: Predictor, others: np.ndarray) -> None:
    """What the Gaussian process adds: beside it, least squares on single options is twice as far off."""

    def features(rows: np.ndarray) -> np.ndarray:
        return np.concatenate([np.eye(count)[column] for count, column in zip(COUNTS, rows.T, strict=True)], axis=1)

    known = np.array(fitted.inputs)
    weights = np.linalg.lstsq(features(known), fitted.process.latency_ms_N, rcond=None)[0]
    plain = np.sqrt(np.mean((features(others) @ weights / truth(others) - 1) ** 2))
    assert Quality.of(fitted.predict(others), truth(others)).rmse_share < 0.5 * plain


def test_the_interval_holds_what_it_promises(fitted: Predictor, others: np.ndarray) -> None:
    quality = Quality.of(fitted.predict(others), measured(others, seed=4))
    assert 0.92 <= quality.coverage <= 0.995
    assert quality.width < 12 * NOISE


def test_the_interval_is_narrow_where_it_was_measured(fitted: Predictor, others: np.ndarray) -> None:
    def width(rows: np.ndarray) -> float:
        return float(np.median([estimate.high_ms - estimate.low_ms for estimate in fitted.predict(rows)]))

    assert width(np.array(fitted.inputs)) < 0.9 * width(others)


def test_held_out_agrees_with_fresh_networks(fitted: Predictor, others: np.ndarray) -> None:
    fresh = Quality.of(fitted.predict(others), measured(others, seed=4))
    known = np.array(fitted.inputs)
    folded = held_out(known, fitted.process.latency_ms_N, table=TABLE, parts=3)
    assert folded.networks == 300
    assert fresh.rmse_share < folded.rmse_share < 3 * fresh.rmse_share
    assert folded.coverage >= 0.9


def test_noise_alone_is_not_learned() -> None:
    known = tokens(120, seed=1)
    predictor = Predictor.fit(known, np.random.default_rng(0).uniform(1, 2, 120), table=TABLE)
    guessed = [estimate.latency_ms for estimate in predictor.predict(tokens(200, seed=2))]
    assert np.std(guessed) < 0.15


def test_measurements_gone_wrong_pull_no_others_along(fitted: Predictor, others: np.ndarray) -> None:
    known, wrong = np.array(fitted.inputs), np.random.default_rng(5).random(300) < 0.03
    spoiled = Predictor.fit(known, fitted.process.latency_ms_N * np.where(wrong, 1.4, 1.0), table=TABLE)
    clean = Quality.of(fitted.predict(others), truth(others)).rmse_share
    assert Quality.of(spoiled.predict(others), truth(others)).rmse_share < 1.3 * clean
    assert np.median(spoiled.process.doubts_N[wrong]) > 3
    assert np.median(spoiled.process.doubts_N[~wrong]) == 1


def test_equal_data_give_equal_predictors_and_json_keeps_them(fitted: Predictor, others: np.ndarray) -> None:
    known = np.array(fitted.inputs)
    again = Predictor.fit(known, fitted.process.latency_ms_N, table=TABLE)
    assert again.predict(others[:20]) == fitted.predict(others[:20])
    read = Predictor.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert (read.device, read.engine) == ("bench: X", "engine 1")
    for mine, theirs in zip(read.predict(others[:20]), fitted.predict(others[:20]), strict=True):
        assert mine.latency_ms == pytest.approx(theirs.latency_ms, rel=1e-9)
        assert mine.high_ms == pytest.approx(theirs.high_ms, rel=1e-6)


def made_up_ms(architecture: Architecture) -> float:
    """Slow 5x5 kernels, dear squeezing, a fixed price a layer, and blocks that suffer under many filters before."""
    total = 0.5 + count(architecture).madds / 6e7
    for layer in layers(architecture):
        total += 0.05 + 0.1 * (layer.kernel == 5) + 0.08 * bool(layer.squeeze)
        total *= 1.02 if layer.channels_in >= 100 else 1.0
    return total


@pytest.fixture(scope="module")
def networks() -> tuple[list[Architecture], list[Architecture]]:
    from nasfit.space import named_space

    space, draw = named_space("mnasnet"), np.random.default_rng(0)
    drawn = [space.decode(draw.integers(0, space.option_counts).tolist()) for _ in range(260)]
    return drawn[:160], drawn[160:]


@pytest.fixture(scope="module")
def of_networks(networks: tuple[list[Architecture], list[Architecture]]) -> Predictor:
    known = networks[0]
    noise = np.exp(NOISE * np.random.default_rng(1).standard_normal(len(known)))
    return Predictor.fit(known, noise * np.array([made_up_ms(network) for network in known]))


def test_architectures_by_what_they_do(
    of_networks: Predictor, networks: tuple[list[Architecture], list[Architecture]]
) -> None:
    fresh = networks[1]
    quality = Quality.of(of_networks.predict(fresh), [made_up_ms(network) for network in fresh])
    assert quality.within_5 >= 0.95
    assert quality.kendall >= 0.95
    assert quality.coverage >= 0.93


def test_equal_networks_get_equal_answers(
    of_networks: Predictor, networks: tuple[list[Architecture], list[Architecture]]
) -> None:
    """A skip that is written but not built changes nothing."""
    for network in networks[1]:
        first = network.blocks[1]
        if first.layers == 1:
            break
    blocks = list(network.blocks)
    pairs = [
        replace(network, blocks=(blocks[0], replace(first, layers=1, skip=skip), *blocks[2:]))
        for skip in ("identity", "none")
    ]
    assert layers(pairs[0]) == layers(pairs[1])
    one, other = of_networks.predict(pairs)
    assert one == other


def test_predictor_of_architectures_survives_json(
    of_networks: Predictor, networks: tuple[list[Architecture], list[Architecture]]
) -> None:
    read = Predictor.from_dict(json.loads(json.dumps(of_networks.to_dict())))
    for mine, theirs in zip(read.predict(networks[1][:9]), of_networks.predict(networks[1][:9]), strict=True):
        assert mine.latency_ms == pytest.approx(theirs.latency_ms, rel=1e-9)


def test_unlike_networks_are_refused(
    of_networks: Predictor, networks: tuple[list[Architecture], list[Architecture]]
) -> None:
    network = networks[1][0]
    blocks = network.blocks
    for unlike, says in (
        (replace(network, resolution=192), "resolution is 192"),
        (replace(network, blocks=(*blocks[:3], replace(blocks[3], kernel=7), *blocks[4:])), "kernel of block 4 is 7"),
        (replace(network, blocks=(*blocks[:3], replace(blocks[3], op="mbconv4"), *blocks[4:])), "mbconv4"),
        (replace(network, blocks=(*blocks[:3], replace(blocks[3], activation="hswish"), *blocks[4:])), "hswish"),
        (replace(network, hidden_filters=64), "hidden filters is 64"),
        (replace(network, blocks=blocks[:-1]), "6 blocks"),
        ((0, 1), "no Architecture"),
    ):
        with pytest.raises(UsageError, match=says):
            of_networks.predict([unlike])


def test_bad_inputs_are_named() -> None:
    good = tokens(40, seed=1)
    ms = truth(good)
    for inputs, latency, says in (
        (good[:20], ms[:20], "got 20 measured networks"),
        (good, ms[:-1], "40 networks and latencies of shape"),
        (good, np.where(np.arange(40) == 3, np.nan, ms), "row 3 is nan"),
        (good, np.where(np.arange(40) == 4, 0.0, ms), "row 4 is 0 ms"),
        (good, np.ones(40), "nothing to learn"),
        (good + 1, ms, "unknown option"),
        (good[:, :-1], ms, "expected rows of 15"),
        (good + 0.5, ms, "whole numbers"),
    ):
        with pytest.raises(UsageError, match=says):
            Predictor.fit(inputs, latency, table=TABLE)
    for counts, blocks in (((), ()), ((2, 0), ()), ((2, 2), ((0,),)), ((2, 2), ((0, 1), (1,)))):
        with pytest.raises(UsageError):
            TokenTable(counts, blocks)


def test_what_is_no_predictor_is_refused(fitted: Predictor) -> None:
    good = fitted.to_dict()
    for bad, says in (
        ({}, "missing"),
        ({**good, "extra": 1}, "unknown"),
        ({**good, "version": 0}, "version"),
        ({**good, "parameters": [1.0]}, "parameters"),
        ({**good, "doubts": [0.5] * 300}, "doubts"),
        ({**good, "form": {"kind": "other"}}, "form"),
    ):
        with pytest.raises(UsageError, match=says):
            Predictor.from_dict(bad)


def test_measure_only_where_the_answer_is_open() -> None:
    narrow = Estimate(10.0, 9.5, 10.5)
    assert worth_measuring(narrow, 10.2)
    assert not worth_measuring(narrow, 9.0)
    assert not worth_measuring(narrow, 11.0)
    assert worth_measuring(Estimate(10.0, 7.0, 13.0), 20.0)
    assert not worth_measuring(replace(narrow, how="measured"), 10.2)
    with pytest.raises(UsageError, match="limit_ms"):
        worth_measuring(narrow, 0.0)


def test_an_estimate_says_that_it_is_one() -> None:
    assert str(Estimate(5.214, 5.0, 5.5)) == "5.21 ms estimated (5 to 5.5)"
    assert "measured" in str(Estimate(5.2, 5.0, 5.5, "measured"))

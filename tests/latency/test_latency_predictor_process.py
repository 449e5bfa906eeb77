"""The parts of the Gaussian process against what they must equal."""

from __future__ import annotations

import numpy as np
import pytest

from nasfit.latency import predictor_process
from nasfit.latency.predictor_descent import minimised
from nasfit.latency.predictor_form import Component, Encoded, Layout
from nasfit.latency.predictor_kernel import Kernel, Training
from nasfit.latency.predictor_process import Process

LAYOUT = Layout(
    ordered=(False, True, True),
    components=(Component((0, 1), None, ("a", "b")), Component((1, 2), 0, ("b", "c")), Component((), 1, ())),
    term_groups=(0, 1, 1),
)


def encoded(number: int, seed: int = 0) -> Encoded:
    draw = np.random.default_rng(seed)
    codes = np.stack([draw.integers(0, 3, number), draw.uniform(size=number), draw.uniform(size=number)], axis=1)
    return Encoded(codes, draw.integers(0, 4, (number, 2)).astype(float), draw.standard_normal((number, 3)))


def test_gradient_is_the_slope_of_the_likelihood() -> None:
    inputs, kernel = encoded(40), Kernel(LAYOUT)
    training, draw = Training(kernel, inputs), np.random.default_rng(1)
    parameters = np.r_[kernel.prior()[0] + 0.3 * draw.standard_normal(len(kernel.prior()[0])), -3.0, 0.7]
    target, relative = draw.standard_normal(40), draw.uniform(0.5, 2, 40)
    doubts = draw.uniform(1, 3, 40)

    def value(at: np.ndarray) -> tuple[float, np.ndarray]:
        return predictor_process._negative_log_likelihood(training, at, target, relative, doubts)

    gradient = value(parameters)[1]
    for place in range(len(parameters)):
        step = np.zeros_like(parameters)
        step[place] = 1e-2
        slope = (value(parameters + step)[0] - value(parameters - step)[0]) / 2e-2
        assert gradient[place] == pytest.approx(slope, rel=2e-2, abs=2e-3), place


def test_diagonal_is_that_of_the_matrix() -> None:
    inputs, kernel = encoded(30), Kernel(LAYOUT)
    parameters = kernel.prior()[0]
    matrix = kernel.matrix(parameters, inputs, inputs)
    assert np.allclose(kernel.diagonal(parameters, inputs), np.diag(matrix), rtol=1e-5)
    assert np.allclose(matrix, Training(kernel, inputs).matrix(parameters)[0], rtol=1e-5)
    assert np.linalg.eigvalsh(matrix).min() > -1e-4


def test_left_out_deviations_are_those_of_leaving_out() -> None:
    inputs = encoded(30)
    latency = 5 + np.random.default_rng(2).uniform(size=30)
    kernel = Kernel(LAYOUT)
    parameters = np.r_[kernel.prior()[0], np.log(1e-2), 0.0]
    deviations = Process(kernel, parameters, inputs, latency, np.ones(30)).left_out_deviations()
    for place in (0, 17):
        kept = np.delete(np.arange(30), place)
        without = Process(kernel, parameters, inputs.rows(kept), latency[kept], np.ones(29))
        scale = latency.std() / latency[kept].std()
        assert without.predict(inputs.rows(np.array([place])))[1][0] * scale == pytest.approx(
            deviations[place], rel=1e-3
        )


def test_descent_finds_the_bottom_of_a_curved_valley() -> None:
    """Rosenbrock 1960."""

    def valley(x: np.ndarray) -> tuple[float, np.ndarray]:
        a, b = 1 - x[0], x[1] - x[0] ** 2
        return float(a**2 + 100 * b**2), np.array([-2 * a - 400 * x[0] * b, 200 * b])

    assert minimised(valley, np.array([-1.2, 1.0]), steps=100, tolerance=1e-12) == pytest.approx([1, 1], abs=1e-3)


def test_descent_stays_out_of_forbidden_ground() -> None:
    def fenced(x: np.ndarray) -> tuple[float, np.ndarray]:
        return (float("inf"), np.zeros(1)) if x[0] < 0.5 else (float(x[0] ** 2), 2 * x)

    assert 0.5 <= minimised(fenced, np.array([3.0]), steps=50, tolerance=1e-9)[0] < 0.7

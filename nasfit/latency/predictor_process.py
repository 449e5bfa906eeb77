"""An exact Gaussian process on encoded networks: fitted by marginal likelihood, answered with mean and spread.

Latencies are modelled in milliseconds, not as logarithms: blocks add up in time. Noise grows with the latency, by a
power that is fitted too. Rasmussen and Williams 2006: prediction (2.25, 2.26), likelihood (2.30), its gradient (5.9).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nasfit.latency.predictor_descent import minimised
from nasfit.latency.predictor_form import Encoded
from nasfit.latency.predictor_kernel import Kernel, Training

# Parameters are chosen on at most so many rows; the prediction then rests on all of them.
ROWS_FOR_PARAMETERS = 600
STEPS = 60
TOLERANCE = 1e-2  # of the log likelihood: far below what tells two models apart
JITTER = 1e-8
# A latency further off than so many standard deviations is trusted less, as far as brings it back to them; then the
# parameters are chosen anew, so many times or until no noise changes by more than a share.
TRUSTED = 2.5
ROUNDS = 4
SETTLED = 0.2
AT_ONCE = 1000
# Prior of the two numbers of the noise: log of its variance (targets have variance 1), and its power of the latency.
_NOISE_MEAN, _NOISE_SD = np.array([np.log(1e-3), 1.0]), np.array([3.0, 0.5])


@dataclass(frozen=True)
class Process:
    """kernel parameters and noise (parameters_P), and the measured networks they were chosen on.

    parameters_P: of the kernel, then log noise variance at the middling latency, then the power of the latency with
    which noise grows. latency_ms_N: of `inputs`. doubts_N: factors, 1 or more, on the noise variance of single ones, so
    that a measurement that went wrong does not pull others along.
    """

    kernel: Kernel
    parameters_P: np.ndarray
    inputs: Encoded
    latency_ms_N: np.ndarray
    doubts_N: np.ndarray

    @classmethod
    def fit(cls, kernel: Kernel, inputs: Encoded, latency_ms_N: np.ndarray, *, rows: int) -> Process:
        """Parameters by maximum a posteriori on at most `rows` of the inputs; deterministic."""
        start = np.r_[kernel.prior()[0], _NOISE_MEAN]
        process = cls(kernel, start, inputs, latency_ms_N, np.ones(len(inputs)))._improved(rows)
        for _ in range(ROUNDS):
            doubts_N = process._doubts()
            if np.allclose(doubts_N, process.doubts_N, rtol=SETTLED):
                break
            process = replace(process, doubts_N=doubts_N)._improved(rows)
        return process

    def _improved(self, rows: int) -> Process:
        """The same with parameters chosen anew, beginning at these."""
        chosen = np.arange(len(self.inputs))
        if len(chosen) > rows:
            chosen = np.sort(np.random.default_rng(0).choice(chosen, rows, replace=False))
        mean, sd = self.kernel.prior()
        mean, sd = np.r_[mean, _NOISE_MEAN], np.r_[sd, _NOISE_SD]
        training, latency_ms = Training(self.kernel, self.inputs.rows(chosen)), self.latency_ms_N[chosen]
        ready = (_standard(latency_ms), _relative(latency_ms), self.doubts_N[chosen])

        def objective(parameters_P: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = _negative_log_likelihood(training, parameters_P, *ready)
            away = (parameters_P - mean) / sd
            return value + 0.5 * float(away @ away), gradient + away / sd

        return replace(self, parameters_P=minimised(objective, self.parameters_P, steps=STEPS, tolerance=TOLERANCE))

    def _doubts(self) -> np.ndarray:
        """How much noisier each latency must be for what the others say of it."""
        inverse_NN, weights_N = self._solved
        noise_N = _noise(self.parameters_P, _relative(self.latency_ms_N))
        # Left out, a latency differs from its prediction by weight / inverse, with variance 1 / inverse (5.12).
        variance_N = 1 / np.diag(inverse_NN)
        off_N = (weights_N * variance_N / TRUSTED) ** 2
        missing_N = np.maximum(off_N - (variance_N - noise_N * self.doubts_N + noise_N), 0.0)
        doubts_N: np.ndarray = 1 + missing_N / noise_N
        return doubts_N

    @cached_property
    def _solved(self) -> tuple[np.ndarray, np.ndarray]:
        """Inverse covariance of the measured latencies (N, N), and its product with them (N,)."""
        covariance_NN = self.kernel.matrix(self.parameters_P[:-2], self.inputs, self.inputs)
        noise_N = _noise(self.parameters_P, _relative(self.latency_ms_N)) * self.doubts_N
        covariance_NN[np.diag_indices_from(covariance_NN)] += noise_N + JITTER
        inverse_NN = np.linalg.inv(covariance_NN)
        return inverse_NN, inverse_NN @ _standard(self.latency_ms_N)

    def left_out_deviations(self) -> np.ndarray:
        """Standard deviation in ms (N,) of each measured network, were it left out; parameters as they are (5.12)."""
        inverse_NN, _ = self._solved
        deviations_N: np.ndarray = float(self.latency_ms_N.std()) / np.sqrt(np.diag(inverse_NN))
        return deviations_N

    def predict(self, inputs: Encoded) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation in ms, (M,) each, of what a measurement of these networks would give."""
        inverse_NN, weights_N = self._solved
        middle, width = float(self.latency_ms_N.mean()), float(self.latency_ms_N.std())
        means, deviations = [], []
        for start in range(0, len(inputs), AT_ONCE):
            some = inputs.rows(np.arange(start, min(start + AT_ONCE, len(inputs))))
            across_MN = self.kernel.matrix(self.parameters_P[:-2], some, self.inputs)
            mean_M = middle + width * (across_MN @ weights_N)
            known_M = np.sum((across_MN @ inverse_NN) * across_MN, axis=1)
            left_M = np.maximum(self.kernel.diagonal(self.parameters_P[:-2], some) - known_M, 0.0)
            noise_M = _noise(self.parameters_P, _relative(mean_M, self.latency_ms_N))
            means.append(mean_M)
            deviations.append(width * np.sqrt(left_M + noise_M))
        return np.concatenate(means), np.concatenate(deviations)


def _negative_log_likelihood(
    training: Training, parameters_P: np.ndarray, target_N: np.ndarray, relative_N: np.ndarray, doubts_N: np.ndarray
) -> tuple[float, np.ndarray]:
    covariance_NN, parts = training.matrix(parameters_P[:-2])
    noise_N = _noise(parameters_P, relative_N) * doubts_N
    covariance_NN[np.diag_indices_from(covariance_NN)] += noise_N + JITTER
    try:
        factor_NN = np.linalg.cholesky(covariance_NN)
    except np.linalg.LinAlgError:
        return np.inf, np.zeros_like(parameters_P)
    inverse_NN = np.linalg.inv(covariance_NN)
    weights_N = inverse_NN @ target_N
    value = 0.5 * float(target_N @ weights_N) + float(np.log(np.diag(factor_NN)).sum())
    slope_NN = 0.5 * (inverse_NN - np.outer(weights_N, weights_N))
    by_noise_N = np.diag(slope_NN) * noise_N
    of_kernel = training.gradient(parameters_P[:-2], parts, slope_NN)
    return value, np.r_[of_kernel, by_noise_N.sum(), 2 * (by_noise_N * np.log(relative_N)).sum()]


def _noise(parameters_P: np.ndarray, relative_N: np.ndarray) -> np.ndarray:
    noise_N: np.ndarray = np.exp(parameters_P[-2] + 2 * parameters_P[-1] * np.log(relative_N))
    return noise_N


def _standard(latency_ms_N: np.ndarray) -> np.ndarray:
    target_N: np.ndarray = (latency_ms_N - latency_ms_N.mean()) / latency_ms_N.std()
    return target_N


def _relative(latency_ms_N: np.ndarray, measured_ms_N: np.ndarray | None = None) -> np.ndarray:
    """Latencies over the geometric mean of the measured ones; not below 5 %, where a mean could fall to nothing."""
    measured = latency_ms_N if measured_ms_N is None else measured_ms_N
    relative_N: np.ndarray = np.maximum(latency_ms_N / np.exp(np.log(measured).mean()), 0.05)
    return relative_N

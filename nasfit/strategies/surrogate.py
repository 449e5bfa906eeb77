"""A model of a value over a space: a Gaussian process whose terms follow the blocks (Rasmussen & Williams 2006).

N = points told, M = points asked about, S = draws; the rest as in `surrogate_kernel`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nasfit.strategies.surrogate_kernel import Kernel
from nasfit.strategies.surrogate_layout import Encoded

STEPS = 25
# How many points' worth of belief say that terms of one family weigh the same, and that noise is small.
BELIEF, USUAL_NOISE, LEAST_NOISE = 1.0, 0.01, 1e-4


@dataclass(frozen=True)
class Warp:
    """A monotone map to values whose effects add up, its inverse, and the log of its slope."""

    name: str
    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    log_slope: Callable[[np.ndarray], np.ndarray]


PLAIN = Warp("plain", lambda y: y, lambda z: z, np.zeros_like)
# Errors, rather than accuracies, shrink by shares.
LOG_ERROR = Warp("log error", lambda y: -np.log(1 - y), lambda z: 1 - np.exp(-z), lambda y: -np.log(1 - y))
LOG = Warp("log", np.log, np.exp, lambda y: -np.log(y))


@dataclass(frozen=True)
class Form:
    """What was learnt of a kind of value: the weights of the terms, the share of noise, the warp."""

    kernel: Kernel
    amplitudes: np.ndarray
    noise: float
    warp: Warp = PLAIN


def fit(kernel: Kernel, data: Encoded, value_N: np.ndarray, warps: Sequence[Warp] = (PLAIN,)) -> tuple[Form, float]:
    """The form that explains the values best, and its log evidence, which compares kernels and warps."""
    terms = np.stack([term.ravel() for term in kernel.terms(data, data)])
    forms = [_learnt(kernel, terms, value_N, warp) for warp in warps]
    return max(forms, key=lambda form: form[1])


def _learnt(kernel: Kernel, terms: np.ndarray, value_N: np.ndarray, warp: Warp) -> tuple[Form, float]:
    """Multiplicative steps to the amplitudes of greatest evidence (MacKay 1992), held together within a family."""
    warped_N = warp.there(value_N)
    scale, number = warped_N.std() + 1e-12, len(value_N)
    z_N = (warped_N - warped_N.mean()) / scale
    families = list(dict.fromkeys(kernel.families))
    family = np.array([families.index(name) for name in kernel.families])
    sizes = np.bincount(family)
    amplitudes, noise = 1 / len(families) / sizes[family], 5 * USUAL_NOISE
    for _ in range(STEPS):
        inverse = np.linalg.inv(_covariance(terms, amplitudes, noise, number))
        solved_N = inverse @ z_N
        explained = terms @ np.outer(solved_N, solved_N).ravel()
        allowed = terms @ inverse.ravel()
        usual = (np.bincount(family, amplitudes) / sizes)[family]
        amplitudes = amplitudes * (explained + BELIEF) / (allowed + BELIEF * amplitudes / np.maximum(usual, 1e-12))
        surplus = noise * (solved_N @ solved_N + BELIEF) / (np.trace(inverse) + BELIEF * noise / USUAL_NOISE)
        noise = max(LEAST_NOISE, float(surplus))
    root = np.linalg.cholesky(_covariance(terms, amplitudes, noise, number))
    half_N = np.linalg.solve(root, z_N)
    evidence = -half_N @ half_N / 2 - np.log(np.diag(root)).sum() - number * np.log(scale)
    return Form(kernel, amplitudes, noise, warp), float(evidence + warp.log_slope(value_N).sum())


def _covariance(terms: np.ndarray, amplitudes: np.ndarray, noise: float, number: int) -> np.ndarray:
    # 1: the variance of the mean level, see `surrogate_kernel.CONSTANT`.
    return np.asarray((amplitudes @ terms).reshape(number, number) + noise * np.eye(number) + 1.0)


class Surrogate:
    """A form conditioned on points and their values; means and draws are in the values' own unit."""

    def __init__(self, form: Form, data: Encoded, value_N: np.ndarray) -> None:
        self.form, self.data = form, data
        warped_N = form.warp.there(value_N)
        self._mean, self._scale = float(warped_N.mean()), float(warped_N.std() + 1e-12)
        covariance = form.kernel.combined(data, data, form.amplitudes)
        self._root = np.linalg.cholesky(covariance + form.noise * np.eye(len(value_N)))
        self._z_N = (warped_N - self._mean) / self._scale
        self._weight_N = self._solved(self._z_N)

    def mean(self, points: Encoded) -> np.ndarray:
        """Values to expect (M,)."""
        return self.unwarped(self._covariance(points) @ self._weight_N)

    def draws(self, points: Encoded, functions: int, generator: np.random.Generator) -> np.ndarray:
        """Values (S, M) of functions drawn from what is known, the points jointly."""
        across = self._covariance(points)
        half = np.linalg.solve(self._root, across.T)
        spread = self.form.kernel.combined(points, points, self.form.amplitudes) - half.T @ half
        eigenvalues, vectors = np.linalg.eigh(spread)
        root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
        normal = generator.standard_normal((functions, len(points)))
        return self.unwarped(across @ self._weight_N + normal @ root.T)

    def apart(self, points: Encoded) -> tuple[np.ndarray, np.ndarray]:
        """Warped mean and deviation (M,) of each point by itself, for `unwarped`."""
        across = self._covariance(points)
        half = np.asarray(across @ self._inverse_root.T)
        variance = self._prior(points) - (half * half).sum(axis=1)
        return across @ self._weight_N, np.sqrt(np.maximum(variance, 0.0))

    def surfaces(
        self, means: int, drawn: int, generator: np.random.Generator
    ) -> Callable[[Encoded, tuple[int, int]], np.ndarray]:
        """Whole functions over the space: the mean so many times, then drawn ones (Matheron's rule).

        What comes back takes points as S times M rows and gives values (S, M), in microseconds a point.
        """
        kernel, form, data = self.form.kernel, self.form, self.data
        prior = kernel.surfaces(data, np.zeros((means + drawn, len(data))), form.amplitudes, generator)
        again = (means + drawn, len(data))
        noise = np.sqrt(form.noise) * generator.standard_normal(again)
        missed_SN = prior(data.rows(np.tile(np.arange(len(data)), means + drawn)), again) + noise
        is_drawn_S = np.arange(means + drawn) >= means
        weight_SN = self._weight_N - is_drawn_S[:, None] * self._solved(missed_SN.T).T
        update = kernel.surfaces(data, weight_SN, form.amplitudes, None)
        total = update.plus(prior, is_drawn_S.astype(float))
        return lambda points, shape: self.unwarped(total(points, shape))

    def _covariance(self, points: Encoded) -> np.ndarray:
        return self.form.kernel.combined(points, self.data, self.form.amplitudes)

    def _prior(self, points: Encoded) -> np.ndarray:
        # In parts, for the diagonal alone is wanted.
        parts = [points.rows(slice(start, start + 32)) for start in range(0, len(points), 32)]
        amplitudes = self.form.amplitudes
        return np.concatenate([np.diag(self.form.kernel.combined(part, part, amplitudes)) for part in parts])

    @cached_property
    def _inverse_root(self) -> np.ndarray:
        return np.linalg.inv(self._root)

    def _solved(self, right: np.ndarray) -> np.ndarray:
        return np.asarray(self._inverse_root.T @ (self._inverse_root @ right))

    def unwarped(self, z: np.ndarray) -> np.ndarray:
        """Values from what `apart` is in, any shape."""
        return np.asarray(self.form.warp.back(self._mean + self._scale * z))

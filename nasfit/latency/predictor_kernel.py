"""Covariance of two networks' latencies: known terms, additive parts, and how both change with their parameters.

K(a, b) = constant + sum over term groups g of scale_g * <terms_a, terms_b>_g
        + sum over components c of variance_c * m_c(a) * m_c(b) * product over columns of exp(-rate * distance),
a product over the choices within a block (as for categories in Garrido-Merchan and Hernandez-Lobato 2020), additive
over blocks (as in Duvenaud et al. 2011). Distance: 0 or 1 where options are only equal or not, |difference| of the
codes where they are ordered. All parameters are logarithms. Shapes: N and M networks, P parameters of the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nasfit.latency.predictor_form import Component, Encoded, Layout

# Variance of the constant, in units of the targets' variance: large, so that the mean is left to the data.
CONSTANT = 10.0


@dataclass(frozen=True)
class Kernel:
    """The covariance of one layout. A vector of parameters holds: scales of term groups, variances, rates."""

    layout: Layout

    @property
    def groups(self) -> int:
        """Number of term groups."""
        return len(set(self.layout.term_groups))

    @property
    def rate_names(self) -> tuple[str, ...]:
        """Names of the rates, in the order of the parameters."""
        return tuple(dict.fromkeys(name for part in self.layout.components for name in part.rates))

    def prior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (P,) of the parameters' normal prior, which is weak: factors of 4 to 8."""
        parts, rates = len(self.layout.components), len(self.rate_names)
        mean = np.log(np.r_[np.full(self.groups, 0.1), np.full(parts, 0.5 / max(parts, 1)), np.full(rates, 0.3)])
        return mean, np.r_[np.full(self.groups + parts, 2.0), np.full(rates, 1.5)]

    def matrix(self, parameters_P: np.ndarray, a: Encoded, b: Encoded) -> np.ndarray:
        """Covariances (N, M)."""
        total_NM = np.full((len(a), len(b)), CONSTANT)
        for scale, part_NM in zip(np.exp(parameters_P), self._linear(a, b), strict=False):
            total_NM += scale * part_NM
        distances = list(_distances(self.layout, a, b))
        for _, part_NM in self._parts(parameters_P, a, b, distances):
            total_NM += part_NM
        return total_NM

    def diagonal(self, parameters_P: np.ndarray, a: Encoded) -> np.ndarray:
        """Variance (N,) of each network's latency before anything is measured."""
        total_N = np.full(len(a), CONSTANT)
        values_P = np.exp(parameters_P)
        for group in range(self.groups):
            total_N += values_P[group] * np.sum(a.terms_NT[:, self._members(group)] ** 2, axis=1)
        for variance, part in zip(values_P[self.groups :], self.layout.components, strict=False):
            total_N += variance * (1.0 if part.multiplier is None else a.multipliers_NS[:, part.multiplier] ** 2)
        return total_N

    def _members(self, group: int) -> np.ndarray:
        return np.flatnonzero(np.array(self.layout.term_groups) == group)

    def _linear(self, a: Encoded, b: Encoded) -> Iterator[np.ndarray]:
        for group in range(self.groups):
            members = self._members(group)
            yield a.terms_NT[:, members] @ b.terms_NT[:, members].T

    def _parts(
        self, parameters_P: np.ndarray, a: Encoded, b: Encoded, distances: list[np.ndarray]
    ) -> Iterator[tuple[Component, np.ndarray]]:
        parts = self.layout.components
        variances = np.exp(parameters_P[self.groups :])
        rates = dict(zip(self.rate_names, np.exp(parameters_P[self.groups + len(parts) :]), strict=True))
        for variance, part in zip(variances, parts, strict=False):
            exponent_NM = np.full((len(a), len(b)), np.log(variance), dtype=np.float32)
            for column, name in zip(part.columns, part.rates, strict=True):
                exponent_NM -= np.float32(rates[name]) * distances[column]
            part_NM = np.exp(exponent_NM)
            if part.multiplier is not None:
                at = part.multiplier
                part_NM *= np.outer(a.multipliers_NS[:, at], b.multipliers_NS[:, at]).astype(np.float32)
            yield part, part_NM


class Training:
    """The covariance of the measured networks among themselves, and its gradient, for many parameters in turn."""

    def __init__(self, kernel: Kernel, inputs: Encoded) -> None:
        self.kernel, self._inputs = kernel, inputs
        self._distances = list(_distances(kernel.layout, inputs, inputs))
        self._linear = list(kernel._linear(inputs, inputs))

    def matrix(self, parameters_P: np.ndarray) -> tuple[np.ndarray, list[tuple[Component, np.ndarray]]]:
        """Covariances (N, N) and the share of each component in it, which `gradient` needs."""
        parts = list(self.kernel._parts(parameters_P, self._inputs, self._inputs, self._distances))
        total_NN = np.full((len(self._inputs),) * 2, CONSTANT)
        for scale, part_NN in zip(np.exp(parameters_P), self._linear, strict=False):
            total_NN += scale * part_NN
        for _, part_NN in parts:
            total_NN += part_NN
        return total_NN, parts

    def gradient(
        self, parameters_P: np.ndarray, parts: list[tuple[Component, np.ndarray]], weights_NN: np.ndarray
    ) -> np.ndarray:
        """Derivative (P,) of the sum of weights * covariances by the parameters."""
        linear = [
            scale * np.vdot(weights_NN, part_NN)
            for scale, part_NN in zip(np.exp(parameters_P), self._linear, strict=False)
        ]
        weights_NN = weights_NN.astype(np.float32)
        variances, rates = [], dict.fromkeys(self.kernel.rate_names, 0.0)
        for part, part_NN in parts:
            weighted_NN = weights_NN * part_NN
            variances.append(float(weighted_NN.sum(dtype=float)))
            for column, name in zip(part.columns, part.rates, strict=True):
                rates[name] -= float(np.vdot(weighted_NN, self._distances[column]))
        rates_P = np.exp(parameters_P[len(linear) + len(variances) :])
        gradient_P: np.ndarray = np.r_[linear, variances, rates_P * np.array(list(rates.values()))]
        return gradient_P


def _distances(layout: Layout, a: Encoded, b: Encoded) -> Iterator[np.ndarray]:
    """(N, M) for each column, in single precision: they are many and need no more."""
    for column, ordered in enumerate(layout.ordered):
        a_N1, b_1M = a.codes_NC[:, column, None], b.codes_NC[None, :, column]
        yield (np.abs(a_N1 - b_1M) if ordered else a_N1 != b_1M).astype(np.float32)

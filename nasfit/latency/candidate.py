"""A file to measure, and the output it must give first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasfit.errors import TrialFailure


@dataclass(frozen=True)
class Check:
    """What the engine must compute before its time counts.

    input_BCHW: (1, C, H, W) float32. output_BK: (1, K), what the network gives by torch. tolerance: largest allowed
    root mean square of the difference, in shares of the output's own.
    """

    input_BCHW: np.ndarray
    output_BK: np.ndarray
    tolerance: float

    def difference(self, got_BK: np.ndarray) -> float:
        """Root mean square of the difference over that of the expected output. Raises TrialFailure beyond tolerance."""
        if got_BK.shape != self.output_BK.shape:
            raise TrialFailure(f"the engine gives an output of shape {got_BK.shape}; expected {self.output_BK.shape}")
        scale = max(_rms(self.output_BK), 1e-12)
        share = _rms(got_BK - self.output_BK) / scale
        # Also false for NaN.
        if not share <= self.tolerance:
            raise TrialFailure(
                f"the engine gives other numbers than torch: they differ by {share:.2g} of the output (allowed "
                f"{self.tolerance:.2g}); its latency would mean nothing. Try another engine or version"
            )
        return share


@dataclass(frozen=True)
class Candidate:
    """A network to measure.

    content: its file, of the format that the device's engine reads. check: None measures it unchecked.
    """

    content: bytes
    check: Check | None = None


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))

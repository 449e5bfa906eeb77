"""How the published model code rounds numbers of channels."""

from __future__ import annotations


def divisible(value: float, divisor: int = 8) -> int:
    """The nearest multiple of `divisor`, never below 90 % of `value` (the rule of the published model code)."""
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest

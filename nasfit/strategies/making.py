"""The strategies by name."""

from __future__ import annotations

from collections.abc import Sequence

from nasfit.errors import UnknownNameError
from nasfit.strategies.contract import Strategy
from nasfit.strategies.evolution import Evolution
from nasfit.strategies.ppo_settings import PAPER, TUNED
from nasfit.strategies.random_search import RandomSearch

STRATEGIES = ("evolution", "ppo", "ppo-paper", "random")


def make_strategy(name: str, option_counts: Sequence[int], *, seed: int, asked: int = 0) -> Strategy:
    """A strategy for the space with these option counts.

    name: one of `STRATEGIES`; `ppo` has our tuned settings, `ppo-paper` the published ones. seed: 0 or more. asked:
    proposals made before, for a search that goes on. Only the two PPOs load torch. Raises UnknownNameError for another
    name, UsageError for the rest.
    """
    if name not in STRATEGIES:
        raise UnknownNameError("strategy", name, STRATEGIES)
    if name == "evolution":
        return Evolution(option_counts, seed=seed, asked=asked)
    if name == "random":
        return RandomSearch(option_counts, seed=seed, asked=asked)
    from nasfit.strategies.ppo import PPO

    return PPO(option_counts, seed=seed, asked=asked, settings=TUNED if name == "ppo" else PAPER)

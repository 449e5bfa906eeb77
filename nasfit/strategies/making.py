"""The strategies by name."""

from __future__ import annotations

from collections.abc import Sequence

from nasfit.errors import UsageError
from nasfit.extensions import ExtensionPoint
from nasfit.objective import Front, Goal
from nasfit.strategies.contract import Hint, Lookups, Strategy
from nasfit.strategies.evolution import Evolution
from nasfit.strategies.guided import Guided
from nasfit.strategies.nsga2 import NSGA2
from nasfit.strategies.ppo_settings import PAPER, TUNED
from nasfit.strategies.random_search import RandomSearch

STRATEGIES = ("guided", "evolution", "nsga2", "ppo", "ppo-paper", "random", "tpe", "gp")
FRONT_STRATEGIES = ("guided", "nsga2", "random")
"""Those that can serve many limits at once; the others follow one reward."""
EXTENSIONS = ExtensionPoint("nasfit.strategies", "strategy", STRATEGIES, offers=("ask", "tell"))
"""Those of other packages: each entry point refers to a `StrategyFactory`."""


def make_strategy(
    name: str,
    option_counts: Sequence[int],
    *,
    seed: int,
    asked: int = 0,
    goal: Goal | None = None,
    groups: Sequence[int] | None = None,
    lookups: Lookups | None = None,
    accuracy_hints: Sequence[Hint] = (),
    latency_hints: Sequence[Hint] = (),
) -> Strategy:
    """A strategy for the space with these option counts.

    option_counts: options of each decision. goal, groups, lookups, accuracy_hints, latency_hints: see `Guided`.
    name: one of `STRATEGIES`; `ppo` has our tuned settings, `ppo-paper` the published ones, `tpe` and `gp` are Optuna's
    samplers (`pip install 'nasfit[optuna]'`); or one that another package adds. seed: 0 or more. asked: proposals made
    before, for a search that goes on. The rest is for `guided`, which does without any of it, see `Guided`; the others
    follow the outcomes alone. Only the two PPOs and `gp` load torch. Raises UnknownNameError for another name,
    ExtensionError for a package's that does not load, UsageError for the rest.
    """
    EXTENSIONS.require(name)
    if isinstance(goal, Front) and name not in FRONT_STRATEGIES:
        raise UsageError(f"strategy {name!r} follows one reward; for a front take {', '.join(FRONT_STRATEGIES)}")
    if name == "guided":
        return Guided(
            option_counts,
            seed=seed,
            asked=asked,
            goal=goal,
            groups=groups,
            lookups=lookups,
            accuracy_hints=accuracy_hints,
            latency_hints=latency_hints,
        )
    if name == "evolution":
        return Evolution(option_counts, seed=seed, asked=asked)
    if name == "nsga2":
        return NSGA2(option_counts, seed=seed, asked=asked, front=goal if isinstance(goal, Front) else None)
    if name == "random":
        return RandomSearch(option_counts, seed=seed, asked=asked)
    if name in ("tpe", "gp"):
        from nasfit.strategies.optuna_samplers import OptunaStrategy

        return OptunaStrategy(name, option_counts, seed=seed, asked=asked)
    if name not in STRATEGIES:
        strategy: Strategy = EXTENSIONS.make(name, option_counts, seed=seed, asked=asked)
        return strategy
    from nasfit.strategies.ppo import PPO

    return PPO(option_counts, seed=seed, asked=asked, settings=TUNED if name == "ppo" else PAPER)

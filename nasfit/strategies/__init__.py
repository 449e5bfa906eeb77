"""Who proposes the next architectures: anything with ask and tell.

A strategy sees a space only as option counts, so it serves any space. Regularized evolution, PPO over an LSTM
controller (tuned, and as published) and random search are made by name with `make_strategy`; a strategy of one's own is
checked with `check_strategy`. Importing this package loads no torch.
"""

from nasfit.space import Tokens
from nasfit.strategies.checking import check_strategy
from nasfit.strategies.contract import OUTCOME_STATES, Outcome, Strategy, StrategyFactory
from nasfit.strategies.evolution import Evolution, EvolutionSettings
from nasfit.strategies.making import STRATEGIES, make_strategy
from nasfit.strategies.ppo_settings import PAPER, TUNED, Diagnostics, PPOSettings
from nasfit.strategies.random_search import RandomSearch

__all__ = [
    "OUTCOME_STATES",
    "PAPER",
    "STRATEGIES",
    "TUNED",
    "Diagnostics",
    "Evolution",
    "EvolutionSettings",
    "Outcome",
    "PPOSettings",
    "RandomSearch",
    "Strategy",
    "StrategyFactory",
    "Tokens",
    "check_strategy",
    "make_strategy",
]

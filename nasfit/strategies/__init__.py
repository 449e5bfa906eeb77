"""Who proposes the next architectures: anything with ask and tell.

A strategy sees a space only as option counts, so it serves any space. The guided one (the default), regularized
evolution, NSGA-II, PPO over an LSTM controller (tuned, and as published), random search and two of Optuna's are made by
name with `make_strategy`, and so are those of other packages; a strategy of one's own is checked with
`check_strategy`. Importing this package loads no torch.
"""

from nasfit.space import Tokens
from nasfit.strategies.checking import check_strategy
from nasfit.strategies.contract import OUTCOME_STATES, Hint, Look, Lookups, Outcome, Strategy, StrategyFactory
from nasfit.strategies.evolution import Evolution, EvolutionSettings
from nasfit.strategies.guided import Guided, GuidedSettings
from nasfit.strategies.guided_models import hint_from
from nasfit.strategies.making import EXTENSIONS, FRONT_STRATEGIES, STRATEGIES, make_strategy
from nasfit.strategies.nsga2 import NSGA2, NSGA2Settings
from nasfit.strategies.ppo_settings import PAPER, TUNED, Diagnostics, PPOSettings
from nasfit.strategies.random_search import RandomSearch

__all__ = [
    "EXTENSIONS",
    "FRONT_STRATEGIES",
    "NSGA2",
    "OUTCOME_STATES",
    "PAPER",
    "STRATEGIES",
    "TUNED",
    "Diagnostics",
    "Evolution",
    "EvolutionSettings",
    "Guided",
    "GuidedSettings",
    "Hint",
    "Look",
    "Lookups",
    "NSGA2Settings",
    "Outcome",
    "PPOSettings",
    "RandomSearch",
    "Strategy",
    "StrategyFactory",
    "Tokens",
    "check_strategy",
    "hint_from",
    "make_strategy",
]

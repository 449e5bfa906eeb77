"""What is wanted: rewards of accuracy and latency, the front between two latencies, Pareto front, hypervolume."""

from nasfit.objective.front import Front
from nasfit.objective.pareto import hypervolume, pareto_front
from nasfit.objective.reward import REWARDS, Reward, abs_reward, calibrated_exponent, soft_reward

Goal = Reward | Front

__all__ = [
    "REWARDS",
    "Front",
    "Goal",
    "Reward",
    "abs_reward",
    "calibrated_exponent",
    "hypervolume",
    "pareto_front",
    "soft_reward",
]

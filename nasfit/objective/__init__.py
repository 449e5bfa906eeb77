"""What is wanted: rewards of accuracy and latency, the Pareto front, hypervolume."""

from nasfit.objective.pareto import hypervolume, pareto_front
from nasfit.objective.reward import REWARDS, Reward, abs_reward, calibrated_exponent, soft_reward

__all__ = ["REWARDS", "Reward", "abs_reward", "calibrated_exponent", "hypervolume", "pareto_front", "soft_reward"]

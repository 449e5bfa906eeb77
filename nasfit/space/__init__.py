"""Which architectures may be sampled: choices, and the tokens that stand for them."""

from nasfit.space.mnasnet import SPACES, named_space, rounded_filters
from nasfit.space.space import BlockChoices, SearchSpace, Tokens

__all__ = ["SPACES", "BlockChoices", "SearchSpace", "Tokens", "named_space", "rounded_filters"]

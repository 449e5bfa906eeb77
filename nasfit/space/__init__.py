"""Which architectures may be sampled: choices, and the tokens that stand for them."""

from nasfit.space.mnasnet import DEFAULT_SPACE, SPACES, named_space, rounded_filters
from nasfit.space.space import BlockChoices, SearchSpace, Tokens

__all__ = ["DEFAULT_SPACE", "SPACES", "BlockChoices", "SearchSpace", "Tokens", "named_space", "rounded_filters"]

"""Which architectures may be sampled: choices, and the tokens that stand for them."""

from nasfit.space.mnasnet import ABLATIONS, DEFAULT_SPACE, SPACES, named_space, rounded_filters
from nasfit.space.space import BlockChoices, SearchSpace, Tokens

__all__ = [
    "ABLATIONS",
    "DEFAULT_SPACE",
    "SPACES",
    "BlockChoices",
    "SearchSpace",
    "Tokens",
    "named_space",
    "rounded_filters",
]

"""The checker of the extension point: run it on a strategy of your own before a search relies on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nasfit.errors import UsageError
from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, Strategy, StrategyFactory

# A space that is exhausted at once, one with decisions that decide nothing, and one of 1e30 points.
_SPACES = ((3,), (1, 4, 1, 2), (10,) * 30)
_BATCHES = (7, 1, 12, 16, 9)


def check_strategy(factory: StrategyFactory) -> None:
    """Does the strategy keep the contract of `Strategy`? Proposes some hundred points; evaluates none.

    Raises UsageError naming the first promise that is broken.
    """
    for option_counts in _SPACES:
        _check_proposals(factory, option_counts)
        _check_restoring(factory, option_counts)
        _check_outcomes(factory, option_counts)
        _check_refusals(factory, option_counts)


def _check_proposals(factory: StrategyFactory, option_counts: Sequence[int]) -> None:
    strategy = factory(option_counts, seed=3, asked=0)
    _require(strategy.ask(0) == [], "ask(0) proposes nothing")
    first = _asked(strategy, 25, option_counts)
    _require(_asked(factory(option_counts, seed=3, asked=0), 25, option_counts) == first, "same seed, same proposals")
    if max(option_counts) ** len(option_counts) > 1e6:
        other = _asked(factory(option_counts, seed=4, asked=0), 25, option_counts)
        _require(other != first, "another seed, other proposals")
        _require(_asked(strategy, 25, option_counts) != first, "a second ask before any tell goes on, never repeats")
        _require(
            _asked(factory(option_counts, seed=3, asked=25), 25, option_counts) != first, "`asked` moves the draws"
        )


def _check_restoring(factory: StrategyFactory, option_counts: Sequence[int]) -> None:
    strategy, told = _searched(factory, option_counts)
    asked, expected = len(told), strategy.ask(9)
    for size in (len(told), 1):
        restored = factory(option_counts, seed=5, asked=asked)
        for start in range(0, len(told), size):
            restored.tell(told[start : start + size])
        got = _asked(restored, 9, option_counts)
        _require(got == expected, f"restored by the outcomes told again, {size} a call, it proposes the same points")


def _check_outcomes(factory: StrategyFactory, option_counts: Sequence[int]) -> None:
    strategy = factory(option_counts, seed=6, asked=0)
    strategy.tell([])
    for state in ("failed", "pruned", "complete"):
        batch = _asked(strategy, 45, option_counts)
        rewards = [None if state == "failed" else _reward(tokens) for tokens in batch]
        strategy.tell([Outcome(t, r, None, None, state) for t, r in zip(batch, rewards, strict=True)][::-1])
    never_proposed = tuple(options - 1 for options in option_counts)
    strategy.tell([Outcome(never_proposed, 0.5, 0.5, 1.0, "complete")] * 45)  # equal rewards: nothing to prefer
    _asked(strategy, 5, option_counts)


def _check_refusals(factory: StrategyFactory, option_counts: Sequence[int]) -> None:
    strategy = factory(option_counts, seed=7, asked=0)
    outside = Outcome(tuple(option_counts), 0.5, None, None, "complete")
    _require(_refuses(lambda: strategy.ask(-1)), "ask(-1) raises UsageError")
    _require(_refuses(lambda: strategy.tell([outside])), "tell of tokens outside the space raises UsageError")


def _searched(factory: StrategyFactory, option_counts: Sequence[int]) -> tuple[Strategy, list[Outcome]]:
    """A strategy after a short search, and all it was told: some failed, some pruned, each batch out of order."""
    strategy, told = factory(option_counts, seed=5, asked=0), list[Outcome]()
    for n in _BATCHES:
        batch = []
        for place, tokens in enumerate(_asked(strategy, n, option_counts)):
            state = ("complete", "complete", "pruned", "complete", "failed")[place % 5]
            batch.append(Outcome(tokens, None if state == "failed" else _reward(tokens), None, None, state))
        told += batch[::-1]
        strategy.tell(batch[::-1])
    return strategy, told


def _reward(tokens: Tokens) -> float:
    """Any rewards that differ, 0..1."""
    return sum((place + 1) * token for place, token in enumerate(tokens)) % 101 / 101


def _asked(strategy: Strategy, n: int, option_counts: Sequence[int]) -> list[Tokens]:
    proposals = strategy.ask(n)
    _require(isinstance(proposals, list) and len(proposals) == n, f"ask({n}) returns a list of {n}")
    for tokens in proposals:
        _require(type(tokens) is tuple and len(tokens) == len(option_counts), f"a tuple of all decisions, got {tokens}")
        for token, options in zip(tokens, option_counts, strict=True):
            _require(
                type(token) is int and 0 <= token < options, f"tokens as int below their option counts, got {tokens}"
            )
    return proposals


def _refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except UsageError:
        return True
    return False


def _require(holds: bool, promise: str) -> None:
    if not holds:
        raise UsageError(f"the strategy breaks its contract; promised: {promise}")

"""The checker of the extension point: run it on a strategy of your own before a search relies on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nasfit.errors import UsageError
from nasfit.promises import Contract
from nasfit.space import Tokens
from nasfit.strategies.contract import Outcome, Strategy, StrategyFactory

# A space of one point, one that is exhausted at once, one with decisions that decide nothing, and one of 1e30 points.
_SPACES = ((1, 1), (3,), (1, 4, 1, 2), (10,) * 30)
_IN_FLIGHT = (24, 16, 24)
_CHANCE = 0.1
_CONTRACT = Contract("the strategy", UsageError)
_require = _CONTRACT.require


def check_strategy(factory: StrategyFactory) -> None:
    """Does the strategy keep the contract of `Strategy`? Asks some sixty times; trains and measures nothing.

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
    if math.prod(option_counts) > 1e6:
        other = _asked(factory(option_counts, seed=4, asked=0), 25, option_counts)
        _require(other != first, "another seed, other proposals")
        _require(_asked(strategy, 25, option_counts) != first, "a second ask before any tell goes on, never repeats")
        _require(
            _asked(factory(option_counts, seed=3, asked=25), 25, option_counts) != first, "`asked` moves the draws"
        )


def _check_restoring(factory: StrategyFactory, option_counts: Sequence[int]) -> None:
    strategy, told = _searched(factory, option_counts)
    asked, expected = len(told), _asked(strategy, 9, option_counts)
    restored = factory(option_counts, seed=5, asked=asked)
    restored.tell(told[:45])
    for outcome in told[45:]:
        restored.tell([outcome])
    got = _asked(restored, 9, option_counts)
    _require(got == expected, "restored by the outcomes told again, grouped otherwise, it proposes the same points")


def _check_outcomes(factory: StrategyFactory, option_counts: Sequence[int]) -> None:
    strategy = factory(option_counts, seed=6, asked=0)
    strategy.tell([])
    for state in ("failed", "pruned", "stopped", "complete"):
        batch = _asked(strategy, 25, option_counts)
        strategy.tell([_outcome(tokens, state) for tokens in batch][::-1])
    never_proposed = tuple(options - 1 for options in option_counts)
    strategy.tell([Outcome(never_proposed, 0.5, 0.5, 1.0, "complete")] * 45)  # equal rewards: nothing to prefer
    strategy.tell([Outcome(never_proposed, 0.5, None, None, "complete")])
    _asked(strategy, 5, option_counts)


def _check_refusals(factory: StrategyFactory, option_counts: Sequence[int]) -> None:
    strategy = factory(option_counts, seed=7, asked=0)
    outside = Outcome(tuple(option_counts), 0.5, None, None, "complete")
    _require(_refuses(lambda: strategy.ask(-1)), "ask(-1) raises UsageError")
    _require(_refuses(lambda: strategy.tell([outside])), "tell of tokens outside the space raises UsageError")


def _searched(factory: StrategyFactory, option_counts: Sequence[int]) -> tuple[Strategy, list[Outcome]]:
    """A strategy after a short search, and all it was told: trials of all states.

    First 64 trials are in flight, of several asks, and end in another order; then one at a time.
    """
    strategy, told = factory(option_counts, seed=5, asked=0), list[Outcome]()
    flying = [tokens for n in _IN_FLIGHT for tokens in _asked(strategy, n, option_counts)]
    for place in range(len(flying)):
        # 64 and 27 share no divisor: every trial ends once, neighbours far from each other.
        told.append(_outcome(flying[place * 27 % len(flying)], _state(place)))
        strategy.tell(told[-1:])
    for place in range(3):
        told += [_outcome(tokens, _state(place)) for tokens in _asked(strategy, 1, option_counts)]
        strategy.tell(told[-1:])
    return strategy, told


def _state(place: int) -> str:
    return ("complete", "stopped", "pruned", "complete", "failed")[place % 5]


def _outcome(tokens: Tokens, state: str) -> Outcome:
    """Any outcome of that state: rewards differ, 0..1; what is pruned breaks a bound, and its reward is chance's."""
    reward = _CHANCE + sum((place + 1) * token for place, token in enumerate(tokens)) % 101 / 112
    latency_ms = 1.0 + sum(tokens) / len(tokens)
    if state == "failed":
        return Outcome(tokens, None, None, None, state)
    if state == "pruned":
        return Outcome(tokens, _CHANCE, None, latency_ms, state, excess=0.5)
    return Outcome(tokens, reward, reward, latency_ms, state, excess=-0.5)


def _asked(strategy: Strategy, n: int, option_counts: Sequence[int]) -> list[Tokens]:
    proposals = strategy.ask(n)
    _require(isinstance(proposals, list) and len(proposals) == n, f"ask({n}) returns a list of {n}")
    for tokens in proposals:
        _require(type(tokens) is tuple and len(tokens) == len(option_counts), f"a tuple of all decisions, got {tokens}")
        for token, options in zip(tokens, option_counts, strict=True):
            _require(
                type(token) is int and 0 <= token < options, f"tokens as int below their option counts, got {tokens}"
            )
    different, possible = len(set(proposals)), min(n, math.prod(option_counts))
    _require(different == possible, f"ask({n}) returns {possible} different points, got {different}")
    return proposals


def _refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except UsageError:
        return True
    return False

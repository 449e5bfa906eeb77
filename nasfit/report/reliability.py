"""How far the search's own shortcuts can be trusted: short training, training ended early, hints, the exponent."""

from __future__ import annotations

from collections.abc import Iterator

from nasfit.report.story import Story
from nasfit.report.wording import MINUS, counted
from nasfit.search.proxy_check import FEWEST, WORRYING, ProxyCheck
from nasfit.study import TrialState


def proxy_words(check: ProxyCheck) -> Iterator[str]:
    """Whether short training ranks networks as full training does."""
    number = counted(len(check.pairs), "network")
    tau, interval = check.tau, check.interval
    if len(check.pairs) < FEWEST or tau is None or interval is None:
        yield f"Short against full training: {number}, too few to tell whether the two rank networks alike."
    else:
        low, high = interval
        yield (
            f"Short against full training: Kendall's tau {_tau(tau)} over {number} (90 %: {_tau(low)} to {_tau(high)}; "
            f"1 is the same order, 0 no relation)."
        )
        if tau < WORRYING:
            yield (
                "warning: short training ranks these networks poorly, so the search may have followed what learns fast "
                "rather than what ends well; a larger --proxy-images or --budget makes its trials longer."
            )
    if check.left_out:
        yield f"Not trained shortly, for the promotion's share of the budget had no room: {', '.join(check.left_out)}."


def shortcuts(story: Story) -> Iterator[str]:
    """What the search took over or chose by itself, one sentence each."""
    for sentence in (story.warm_start, story.exponent):
        if sentence:
            yield f"{sentence[0].upper()}{sentence[1:]}."
    if story.stopping:
        yield story.stopping
    yield from score_words(story)


def score_words(story: Story) -> Iterator[str]:
    """How each zero-cost score that the search looked at ranks the networks it trained, and what was dropped by one."""
    if story.scores:
        found = ", ".join(
            f"{name} no order" if one is None else f"{name} {_tau(one.tau)} ({_tau(one.low)} to {_tau(one.high)})"
            for name, one in story.scores.items()
        )
        yield (
            f"Scores of untrained networks against the accuracies of the {counted(len(story.complete), 'network')} "
            f"trained here (Kendall's tau, 90 %): {found}."
        )
    if story.settings.screen != "none":
        dropped = sum(t.state is TrialState.PRUNED and t.latency_ms is None for t in story.trials)
        yield f"The screen ({story.settings.screen}) dropped {counted(dropped, 'proposal')} untrained."


def proxy_lines(story: Story) -> Iterator[str]:
    """The words on short training, none before the finale."""
    if story.proxy is not None:
        yield from proxy_words(story.proxy)


def _tau(value: float) -> str:
    return f"{value:.2f}".replace("-", MINUS)

"""Where the accuracies of a study come from: asked for, or chosen by what has been measured."""

from __future__ import annotations

from dataclasses import replace

from nasfit.search.plan import Plan
from nasfit.search.settings import AUTO, Settings

# At equal cost none of the cheaper ways ranked networks better (benchmarks/trials.py).
PROVEN = "standalone"


def with_evaluator(plan: Plan, settings: Settings) -> Plan:
    """The plan with its evaluator and why it is that one.

    `auto` takes another way than training alone only where that was measured to rank better for the same time.
    """
    if settings.evaluator != AUTO:
        return replace(plan, evaluator=settings.evaluator, evaluator_reason="asked for")
    reason = "no cheaper way was measured to rank networks better at equal cost"
    return replace(plan, evaluator=PROVEN, evaluator_reason=reason)

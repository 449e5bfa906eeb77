"""Which evaluator a study gets, and that it keeps it."""

from __future__ import annotations

import pytest

from nasfit.search import Plan, Settings
from nasfit.search.choosing import with_evaluator
from nasfit.search.evaluators import ALONE, EVALUATORS
from nasfit.search.settings import AUTO, EVALUATIONS, TOGETHER

CALIBRATED = Plan(0.35, "late", 32, 2000, 600.0, 3.3, 0.1, 0.3, 1.0)


def settings(**changes: str) -> Settings:
    return Settings("colours", 1.0, **changes)  # type: ignore[arg-type]


def test_every_name_that_may_be_asked_for_is_an_evaluator() -> None:
    assert set(EVALUATIONS) == {AUTO, *EVALUATORS}
    assert set(TOGETHER) | set(ALONE) == set(EVALUATORS)


def test_auto_takes_what_is_proven_and_says_why() -> None:
    plan = with_evaluator(CALIBRATED, settings())
    assert plan.evaluator == "standalone"
    assert any(line.startswith("accuracies: standalone (no cheaper way") for line in plan.lines(settings()))


@pytest.mark.parametrize("name", sorted(EVALUATORS))
def test_what_is_asked_for_is_taken(name: str) -> None:
    asked = settings(evaluator=name)
    plan = with_evaluator(CALIBRATED, asked)
    assert plan.evaluator == name
    assert f"accuracies: {name} (asked for)" in plan.lines(asked)
    assert Plan(**plan.as_json()) == plan


def test_a_plan_of_an_earlier_version_goes_on_alone_without_a_word() -> None:
    stored = CALIBRATED.as_json()
    del stored["evaluator"], stored["evaluator_reason"]
    plan = Plan(**stored)
    assert plan.evaluator == "standalone"
    assert not [line for line in plan.lines(settings()) if line.startswith("accuracies")]

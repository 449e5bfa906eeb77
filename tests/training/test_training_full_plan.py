"""The numbers of a full training."""

from __future__ import annotations

import pytest

from nasfit.errors import UsageError
from nasfit.training.classification_training import fitted, planned_seconds
from nasfit.training.full_plan import Wishes, full_plan, stored_side
from nasfit.training.full_recipe import MNASNET, QUICK, SMALL_DATA


def test_imagenet_as_published() -> None:
    plan = full_plan(MNASNET, Wishes(batch=128), pictures=1_281_167, side=224, world=32)
    assert (plan.pictures, plan.accumulate) == (4096, 1)
    assert plan.peak == pytest.approx(0.256)
    assert (plan.steps_per_epoch, plan.steps) == (312, 350 * 312)
    assert (plan.side, plan.stored_side) == (224, 256)


def test_small_pieces_are_accumulated_to_the_recipes_step() -> None:
    plan = full_plan(MNASNET, Wishes(batch=32), pictures=10_000, side=224)
    assert (plan.batch, plan.accumulate, plan.pictures) == (32, 8, 256)
    assert plan.peak == pytest.approx(0.016)
    two = full_plan(MNASNET, Wishes(batch=32), pictures=10_000, side=224, world=2)
    assert (two.batch, two.accumulate, two.pictures) == (32, 4, 256)


def test_a_larger_step_has_a_higher_rate() -> None:
    plan = full_plan(MNASNET, Wishes(batch=256, accumulate=4), pictures=10_000, side=32)
    assert plan.peak == pytest.approx(0.064)
    assert full_plan(MNASNET, Wishes(rate=0.5), pictures=10_000, side=32).peak == 0.5


def test_a_cpu_holds_fewer_large_pictures_at_once() -> None:
    assert full_plan(MNASNET, Wishes(), pictures=10_000, side=224).batch == 256
    plan = full_plan(MNASNET, Wishes(), pictures=10_000, side=224, on_cpu=True)
    assert (plan.batch, plan.accumulate) == (32, 8)
    assert full_plan(MNASNET, Wishes(), pictures=10_000, side=32, on_cpu=True).batch == 256


def test_fewer_pictures_than_a_step_are_one_step() -> None:
    plan = full_plan(MNASNET, Wishes(epochs=3), pictures=100, side=32)
    assert (plan.pictures, plan.steps_per_epoch, plan.steps) == (100, 1, 3)
    assert full_plan(MNASNET, Wishes(batch=60), pictures=100, side=32).pictures == 60
    with pytest.raises(UsageError, match="a step of 120 pictures is more than the 100"):
        full_plan(MNASNET, Wishes(batch=60, accumulate=2), pictures=100, side=32)


@pytest.mark.parametrize("wish", ["epochs", "batch", "accumulate", "rate"])
def test_wishes_are_above_nothing(wish: str) -> None:
    with pytest.raises(UsageError, match=r"(epochs|batch|accumulate|lr) is 0; it must be above 0"):
        Wishes(**{wish: 0})  # type: ignore[arg-type]


def test_a_budget_is_filled_with_steps_and_evaluations() -> None:
    plan = full_plan(QUICK, Wishes(), pictures=6_400, side=32)
    assert plan.steps == 10 * 100
    # 100 steps of 0.1 s, and evaluations of 960 pictures, three times as fast: 0.5 s.
    assert planned_seconds(plan, 0.1, 960) == pytest.approx(10 * 10.5)
    assert fitted(plan, 42.0, 0.1, 960).steps == 400
    short = fitted(plan, 0.01, 0.1, 960)
    assert short.steps == 1
    assert fitted(plan, 21.0, 0.1, 960).epochs == pytest.approx(2)


def test_evaluation_sees_the_centre_of_what_is_kept() -> None:
    assert [stored_side(SMALL_DATA.test_crop, side) for side in (28, 32, 224)] == [32, 37, 256]
    assert stored_side(QUICK.test_crop, 28) == 28

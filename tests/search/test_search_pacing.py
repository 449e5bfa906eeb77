"""The precision of trainings: tried, chosen, told, and passed on to every job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nasfit.architecture import Architecture
from nasfit.errors import StudyError, UnknownNameError
from nasfit.search import Plan, Settings
from nasfit.search.evaluate import proxy_job
from nasfit.search.pacing import chosen_precision, slowest_speed
from nasfit.training import Pace, Recipe, TrainingJob, bf16_in_hardware

NETWORK = Architecture.parse("in1@24 stem8s2 | mbconv6 k5 s2 se0.25 none f16 n1 | head32 out2 relu")
SETTINGS = Settings(data="fashion-mnist-small", target_ms=5)


@pytest.mark.parametrize(("bf16_speed", "chosen"), [(130.0, "bf16"), (109.0, "fp32"), (20.0, "fp32")])
def test_the_clearly_faster_precision_is_chosen(bf16_speed, chosen, pool, monkeypatch):
    speeds = {"fp32": 100.0, "bf16": bf16_speed}
    monkeypatch.setattr("nasfit.search.pacing.slowest_speed", lambda job, _: speeds[job.pace.precision])
    monkeypatch.setattr("nasfit.search.pacing.bf16_in_hardware", lambda: True)
    precision, gain = chosen_precision(SETTINGS, NETWORK, Path("unused"), pool)
    assert (precision, gain) == (chosen, pytest.approx(bf16_speed / 100))


def test_bf16_is_not_tried_where_it_would_be_emulated(pool, monkeypatch):
    monkeypatch.setattr("nasfit.search.pacing.bf16_in_hardware", lambda: False)
    assert chosen_precision(SETTINGS, NETWORK, Path("does not exist"), pool) == ("fp32", None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU decides then")
@pytest.mark.parametrize(
    ("flags", "there"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni", False),
        ("flags\t\t: fpu avx512_bf16", True),
        ("flags : amx_bf16 amx_tile", True),
        ("Features\t: fp asimd i8mm bf16", True),
    ],
)
def test_the_processor_says_whether_it_has_bf16(flags, there, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    assert bf16_in_hardware(tmp_path / "cpuinfo") is there
    assert bf16_in_hardware(tmp_path / "nothing")


def test_a_precision_that_is_asked_for_is_not_tried(pool):
    settings = replace(SETTINGS, train_precision="bf16")
    assert chosen_precision(settings, NETWORK, Path("does not exist"), pool) == ("bf16", None)
    with pytest.raises(UnknownNameError, match=r"--train-precision.*did you mean 'bf16'"):
        replace(SETTINGS, train_precision="bf61")


def test_speed_is_that_of_the_slowest_worker_and_failure_an_error(pool, data):
    job = TrainingJob("no network", "nowhere", Recipe(images=0), seed=0)
    with pytest.raises(StudyError, match="could not run"):
        slowest_speed(job, pool)


def test_the_plan_tells_what_it_chose_and_all_jobs_train_so(opened):
    setup = opened()
    plan = replace(setup.plan, train_precision="bf16", precision_gain=1.31, progressive=True)
    assert "trains in bf16: bf16 is 1.3 times as fast as fp32 here" in list(plan.lines(SETTINGS))
    assert Plan(**plan.as_json()).pace == Pace("bf16", progressive=True)
    told = list(setup.plan.lines(SETTINGS))
    assert not any("bf16" in line for line in told), "an earlier study tried nothing"
    setup = replace(setup, plan=plan)
    assert proxy_job(setup, str(NETWORK), seed=0).pace == plan.pace

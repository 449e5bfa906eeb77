from pathlib import Path

import numpy as np
import pytest
import torch
from test_training_network import NETWORK, RECIPE, SCALE, data, stripes
from torch import nn

from nasfit.errors import UsageError
from nasfit.models import build
from nasfit.tasks import Split, save
from nasfit.training import StopRule, TrainingJob, run_training, train
from nasfit.training.stopping import AVERAGED_IMAGES, Watch

SHORT = RECIPE.lasting(640)


def watched(*rules: StopRule) -> tuple[nn.Module, Watch, int]:
    """A network trained under watch, and the pictures it saw."""
    torch.manual_seed(0)
    network = build(NETWORK, dropout=0.2, bn_momentum=0.1)
    watch = Watch(network, stripes(60, 1), rules, **SCALE)
    told = train(network, stripes(300, 0), SHORT, seed=0, ends=watch, **SCALE)
    return network, watch, told.curve[-1][0]


def test_looks_leave_no_trace_in_the_training() -> None:
    plain, _, _ = watched()
    looked_at, watch, seen = watched(StopRule(250), StopRule(100), StopRule(640))
    assert [images for images, _ in watch.looks] == [128, 256, 640]
    assert seen == 640
    ours, theirs = looked_at.state_dict(), plain.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_look_sees_the_network_of_that_moment() -> None:
    _, watch, _ = watched(StopRule(128), StopRule(640))
    # A short recipe has another schedule, so only stopping shows what the network was.
    _, again, seen = watched(StopRule(128, below=1.0))
    assert seen == 128
    assert again.stopped
    assert again.looks == watch.looks[:1]
    assert not watch.stopped
    assert watch.looks[1][1] > watch.looks[0][1]


def test_the_mean_of_the_last_steps_is_tested() -> None:
    class Constant(nn.Module):
        """Always answers the class of its greatest bias."""

        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(3))

        def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
            return self.bias.expand(len(images_BCHW), 3)

    network, reach = Constant(), AVERAGED_IMAGES
    labels = np.array([0] * 30 + [1] * 20 + [2] * 10)
    watch = Watch(network, Split(stripes(60, 1).images_NHWC, labels), [StopRule(5000)], **SCALE)
    # The first step is too early to count; of the others the mean favours class 1, the last class 2.
    steps = {5000 - reach: (9.0, 0.0, 0.0), 4500: (0.0, 3.0, 0.0), 4700: (0.0, 3.0, 0.0), 5000: (0.0, 0.0, 4.0)}
    for images, bias in steps.items():
        network.bias.data = torch.tensor(bias)
        watch(images)
    assert watch.looks == [(5000, pytest.approx(20 / 60))]
    assert network.bias.tolist() == [0.0, 0.0, 4.0]


def test_it_ends_only_below_the_bound() -> None:
    ((_, reached),) = watched(StopRule(256))[1].looks
    for below, seen in ((reached, 640), (reached + 0.01, 256)):
        assert watched(StopRule(256, below))[2] == seen


def test_a_stopped_job_says_so_and_costs_its_part(tmp_path: Path) -> None:
    saved = save(data(), tmp_path / "data")
    job = {"architecture": str(NETWORK), "data": str(saved.directory), "recipe": SHORT, "seed": 0}
    plain = run_training(TrainingJob(**job))
    looked_at = run_training(TrainingJob(**job, stops=(StopRule(256),)))
    stopped = run_training(TrainingJob(**job, stops=(StopRule(256, below=1.0), StopRule(512))))
    assert (plain.looks, plain.stopped, looked_at.stopped) == ((), False, False)
    assert looked_at.accuracy == plain.accuracy
    assert looked_at.curve == plain.curve
    assert stopped.stopped
    assert stopped.looks == looked_at.looks == ((256, stopped.accuracy),)
    assert stopped.curve == plain.curve[: len(stopped.curve)]
    assert stopped.curve[-1][0] == 256


def test_a_rule_is_in_range() -> None:
    for bad in ((0, 0.5), (10, 1.5), (10, -0.1)):
        with pytest.raises(UsageError, match="must be above 0"):
            StopRule(*bad)

"""A network cut after each part: the cuts are what their names say, and their times add up on the device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from test_search_delivery import trained

from nasfit.architecture import Architecture, layers
from nasfit.errors import TrialFailure
from nasfit.latency.part_times import PartTimes
from nasfit.models import build
from nasfit.search import delivery
from nasfit.search.delivery import PARTS, compared, keep_part_times
from nasfit.search.setup import Setup
from nasfit.search.timing_parts import cuts

NETWORK = Architecture.parse(
    "in3@32 stem8s1 | sepconv k3 s1 se0 none f8 n1 | mbconv3 k5 s2 se0.25 identity f16 n3 | head32 out10 relu"
)


def test_each_cut_makes_the_map_of_its_part_and_the_last_is_the_whole() -> None:
    network = build(NETWORK).eval()
    found = cuts(network)
    assert list(found) == ["stem", "block 1", "block 2", "head"]
    image_BCHW = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        shapes = {name: tuple(cut(image_BCHW).shape[1:]) for name, cut in found.items()}
        inner = network.layers(network.stem(image_BCHW))
        assert torch.equal(found["block 2"](image_BCHW), inner), "all layers of a block belong to it"
    last = layers(NETWORK)[-1]
    assert shapes["stem"] == (8, 32, 32)
    assert shapes["block 2"] == (16, last.resolution_out, last.resolution_out)
    assert found["head"] is network and shapes["head"] == (10,)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_finale_keeps_where_the_time_goes(opened: Callable[..., Setup], precision: str) -> None:
    setup = opened(precision=precision)
    entrant = trained(setup, "good")
    setup.study.put_document("finals", {"good": {"accuracy": 0.5}})
    (contender,) = compared(setup, [entrant]).contenders
    keep_part_times(setup, contender)
    times = PartTimes.from_json(setup.study.document(PARTS))
    blocks = len(Architecture.parse(entrant.architecture).blocks)
    assert [part.name for part in times.parts] == ["stem", *(f"block {n}" for n in range(1, blocks + 1)), "head"]
    assert sum(part.ms for part in times.parts) == pytest.approx(times.whole_ms)
    # Measured apart from the comparison, on a machine that others use too.
    assert 0.3 < times.whole_ms / contender.latency_ms < 3
    assert times.network == entrant.architecture


def test_a_cut_that_does_not_run_costs_the_picture_and_not_the_search(
    opened: Callable[..., Setup], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = opened()
    entrant = trained(setup, "good")
    setup.study.put_document("finals", {"good": {"accuracy": 0.5}})
    (contender,) = compared(setup, [entrant]).contenders

    def failing(*_: object, **__: object) -> PartTimes:
        raise TrialFailure("the network cut after stem does not run: no")

    monkeypatch.setattr(delivery, "part_times", failing)
    keep_part_times(setup, contender)
    assert setup.study.document(PARTS) == {"failed": "the network cut after stem does not run: no"}

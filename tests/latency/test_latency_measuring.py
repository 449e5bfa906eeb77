"""The rounds of a measurement, on a device whose times are scripted, and once on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from nasfit.devices import Description, Device, Sample, open_device
from nasfit.errors import TrialFailure, UsageError
from nasfit.latency import Measurement, Timing, measure, measurement_key

HERE = Description("bench: X", "engine 1", "X", 1, 1, 0, False, "os", 1e-6, None, 0.0, "2026-01-01T00:00:00Z")


class Scripted:
    """Both device and session: network name -> function of its sample's number giving (wall_ms, cpu_ms)."""

    name = "scripted"

    def __init__(self, times: dict[str, Callable[[int], tuple[float, float]]]) -> None:
        self.times = times
        self.counts = dict.fromkeys(times, 0)
        self.log: list[tuple[str, int, int]] = []
        self.groups: list[list[str]] = []

    def describe(self) -> Description:
        return HERE

    @contextmanager
    def open(self) -> Iterator[Scripted]:
        self.groups.append([])
        yield self

    def load(self, model: str, model_bytes: bytes) -> None:
        if model_bytes == b"bad":
            raise TrialFailure(f"{model} is no network")
        self.groups[-1].append(model)

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        wall_ms, cpu_ms = self.times[model](self.counts[model])
        self.counts[model] += 1
        self.log.append((model, warm, runs))
        return Sample(wall_ms, cpu_ms, runs)

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        return input_BCHW


def steady(ms: float) -> Callable[[int], tuple[float, float]]:
    return lambda _: (ms, ms)


def wobbly(ms: float) -> Callable[[int], tuple[float, float]]:
    return lambda count: (ms * (1 + 0.2 * (count % 2)),) * 2


def files(device: Scripted) -> dict[str, bytes]:
    return dict.fromkeys(device.times, b"file")


def median_of(result: Measurement | TrialFailure) -> float:
    assert isinstance(result, Measurement)
    return result.latency_ms


def test_networks_are_interleaved_in_changing_order() -> None:
    device = Scripted({name: steady(4.0) for name in "abcd"})
    measure(device, files(device))
    after_first = [name for name, _, _ in device.log[4:]]
    rounds = ["".join(after_first[start : start + 4]) for start in range(0, len(after_first), 4)]
    assert len(rounds) == Timing().min_rounds
    assert all(sorted(order) == list("abcd") for order in rounds)
    assert len(set(rounds)) > 3


def test_same_seed_same_order() -> None:
    logs = []
    for seed in (1, 1, 2):
        device = Scripted({name: steady(4.0) for name in "abcd"})
        measure(device, files(device), timing=Timing(seed=seed))
        logs.append(device.log)
    assert logs[0] == logs[1] != logs[2]


def test_steady_stops_early_and_wobbly_goes_on() -> None:
    device = Scripted({"steady": steady(4.0), "wobbly": wobbly(4.0)})
    timing = Timing(min_rounds=8, max_rounds=40)
    result = measure(device, files(device), timing=timing)
    counts = {name: len(value.cpu_samples_ms) for name, value in result.items() if isinstance(value, Measurement)}
    assert counts == {"steady": 8, "wobbly": 40}


def test_wall_noise_does_not_delay_the_end_on_one_thread() -> None:
    device = Scripted({"a": lambda count: (4.0 + 10 * (count % 3), 4.0)})
    (result,) = measure(device, files(device)).values()
    assert isinstance(result, Measurement)
    assert (result.latency_ms, result.statistic) == (4.0, "cpu median")
    assert len(result.cpu_samples_ms) == Timing().min_rounds
    assert result.clean_share < 0.5 and any("contention" in doubt for doubt in result.warnings)


def test_short_networks_get_more_runs_a_sample() -> None:
    device = Scripted({"tiny": steady(0.1), "small": steady(1.1), "big": steady(50.0)})
    measure(device, files(device), timing=Timing(sample_ms=3.0))
    runs = {name: number for name, _, number in device.log[3:]}
    assert runs == {"tiny": 32, "small": 4, "big": 1}


def test_time_limit_of_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(float(tick) for tick in range(10_000))
    monkeypatch.setattr("nasfit.latency.measuring.time.perf_counter", lambda: next(clock))
    device = Scripted({"a": wobbly(4.0)})
    (result,) = measure(device, files(device), timing=Timing(min_rounds=20, network_s=9.0)).values()
    assert isinstance(result, Measurement)
    assert len(result.cpu_samples_ms) == 9
    assert result.seconds == 10.0


def test_a_failure_is_its_own() -> None:
    def breaks(count: int) -> tuple[float, float]:
        if count == 5:
            raise TrialFailure("breaks in the middle")
        return 4.0, 4.0

    device = Scripted({"breaks": breaks, "good": steady(4.0), "bad": steady(4.0)})
    result = measure(device, {"breaks": b"file", "bad": b"bad", "good": b"file"})
    assert list(result) == ["breaks", "bad", "good"]
    assert isinstance(result["breaks"], TrialFailure) and isinstance(result["bad"], TrialFailure)
    assert median_of(result["good"]) == 4.0


def test_groups_have_their_own_process() -> None:
    device = Scripted({name: steady(4.0) for name in "abcde"})
    result = measure(device, files(device), timing=Timing(together=2))
    assert device.groups == [["a", "b"], ["c", "d"], ["e"]]
    assert list(result) == list("abcde")


def test_cache_answers_and_learns() -> None:
    device = Scripted({"a": steady(4.0), "b": steady(5.0), "bad": steady(1.0)})
    cache: dict[str, dict[str, object]] = {}
    measure(device, {"a": b"file", "bad": b"bad"}, cache=cache)
    assert list(cache) == [measurement_key("a", HERE.device, HERE.engine)]
    device.times["a"] = steady(400.0)
    result = measure(device, {"a": b"file", "b": b"file"}, cache=cache)
    assert (median_of(result["a"]), median_of(result["b"])) == (4.0, 5.0)
    assert device.groups[-1] == ["b"]
    assert len(cache) == 2
    before = len(device.groups)
    measure(device, {"a": b"file", "b": b"file"}, cache=cache)
    assert len(device.groups) == before


def test_keys_differ_by_each_part() -> None:
    keys = {measurement_key(*parts) for parts in [("a", "d", "e"), ("b", "d", "e"), ("a", "b", "e"), ("a", "d", "f")]}
    assert len(keys) == 4
    assert measurement_key("a", "d", "e") == measurement_key("a", "d", "e")


@pytest.mark.parametrize("wrong", [{"min_rounds": 5}, {"min_rounds": 30, "max_rounds": 20}, {"precision": 0.0}])
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Timing(**wrong)  # type: ignore[arg-type]


def test_this_machine_orders_a_network_and_its_double() -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper

    def chain(length: int) -> bytes:
        rng = np.random.default_rng(0)
        weight = onnx.numpy_helper.from_array(rng.standard_normal((32, 32, 3, 3), dtype=np.float32) / 17, "w")
        ends = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 32, 32, 32]) for name in ("image", "logits")
        ]
        names = ["image", *(f"m{index}" for index in range(length - 1)), "logits"]
        nodes = [
            helper.make_node("Conv", [names[index], "w"], [names[index + 1]], pads=[1] * 4) for index in range(length)
        ]
        graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
        opset = [helper.make_opsetid("", 17)]
        return bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())

    device: Device = open_device("local")
    result = measure(device, {"bad": b"", "four": chain(4), "eight": chain(8)})
    assert isinstance(result["bad"], TrialFailure)
    assert 1.6 < median_of(result["eight"]) / median_of(result["four"]) < 2.5

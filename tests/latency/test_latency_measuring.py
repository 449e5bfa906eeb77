"""The rounds of a measurement, on a device whose times are scripted, and once on this machine."""

from __future__ import annotations

import numpy as np
import pytest
from latency_bench import Scripted, Times, described

from nasfit.devices import Device, State, open_device
from nasfit.errors import DeviceError, DeviceGone, TrialFailure, UsageError
from nasfit.latency import Candidate, Check, Measurement, Timing, measure, measurement_key
from nasfit.latency.timing import LEAST_SAMPLES

HERE = described()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr("nasfit.latency.measuring.time.sleep", pauses.append)
    return pauses


def steady(ms: float) -> Times:
    return lambda _: (ms, ms)


def wobbly(ms: float) -> Times:
    return lambda count: (ms * (1 + 0.2 * (count % 2)),) * 2


def files(device: Scripted) -> dict[str, bytes]:
    return dict.fromkeys(device.times, b"file")


def headline(result: Measurement | TrialFailure) -> float:
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
    device = Scripted({"steady": steady(4.0), "wobbly": lambda count: (4.0 + count % 3,) * 2})
    timing = Timing(min_rounds=12, max_rounds=40)
    result = measure(device, files(device), timing=timing)
    counts = {name: len(value.cpu_samples_ms) for name, value in result.items() if isinstance(value, Measurement)}
    assert counts == {"steady": 12, "wobbly": 40}


def test_rounds_are_spread_over_the_span(no_pauses: list[float]) -> None:
    device = Scripted({"a": steady(4.0)})
    measure(device, files(device), timing=Timing(min_rounds=12, span_s=6.0))
    assert len(no_pauses) == 11
    assert all(0.4 < pause <= 0.5 for pause in no_pauses)


def test_disturbed_samples_are_taken_again() -> None:
    device = Scripted({"a": steady(4.0)}, probe=lambda taken: 0.4 if 5 < taken <= 15 else 0.3)
    (result,) = measure(device, files(device)).values()
    assert isinstance(result, Measurement)
    assert len(result.cpu_samples_ms) == 10 + Timing().min_rounds
    assert result.clean_share == pytest.approx(Timing().min_rounds / len(result.cpu_samples_ms))
    assert len(result.probe_samples_ms) == len(result.cpu_samples_ms)


def test_a_device_that_stays_disturbed_is_said_to_be() -> None:
    device = Scripted({"a": steady(4.0)}, probe=lambda taken: 0.3 if taken % 5 == 0 else 0.4)
    (result,) = measure(device, files(device)).values()
    assert isinstance(result, Measurement)
    assert len(result.cpu_samples_ms) == Timing().max_rounds
    assert any("33% slower than at its best" in doubt for doubt in result.warnings)


def test_where_there_is_no_probe_the_first_network_is_the_reference() -> None:
    hot = range(8, 16)
    times: dict[str, Times] = {name: lambda count: (4.0 * (1.5 if count in hot else 1.0), None) for name in "abc"}
    device = Scripted(times, probe=None)
    result = measure(device, files(device), timing=Timing(min_rounds=20, max_rounds=40))
    for measurement in result.values():
        assert isinstance(measurement, Measurement)
        assert measurement.statistic == "wall time" and measurement.latency_ms == 4.0
        assert measurement.clean_share == pytest.approx(20 / 28), "the hot rounds are marked and taken again"
    rounds = [name for name, _, _ in device.log[3:]]
    assert set(rounds[::3]) == {"a"}, "the reference opens every round"


def test_a_reference_that_fails_hands_over() -> None:
    def breaks(count: int) -> tuple[float, None]:
        if count == 5:
            raise TrialFailure("breaks in the middle")
        return 1.0, None

    device = Scripted({"breaks": breaks, "b": lambda _: (4.0, None), "c": lambda _: (8.0, None)}, probe=None)
    result = measure(device, files(device))
    assert isinstance(result["breaks"], TrialFailure)
    assert headline(result["c"]) == 8.0
    assert all(isinstance(value, Measurement) and value.clean_share == 1.0 for value in list(result.values())[1:])


def test_wall_noise_does_not_delay_the_end_on_one_thread() -> None:
    device = Scripted({"a": lambda count: (4.0 + 10 * (count % 3), 4.0)})
    (result,) = measure(device, files(device), timing=Timing(max_rounds=60)).values()
    assert isinstance(result, Measurement)
    assert (result.latency_ms, result.statistic) == (4.0, "thread CPU time")
    assert len(result.cpu_samples_ms) <= 3 * Timing().min_rounds
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
    assert headline(result["good"]) == 4.0


def test_groups_have_their_own_process() -> None:
    device = Scripted({name: steady(4.0) for name in "abcde"})
    result = measure(device, files(device), timing=Timing(together=2))
    assert device.groups == [["a", "b"], ["c", "d"], ["e"]]
    assert list(result) == list("abcde")


def test_several_processes_pool_their_samples() -> None:
    device = Scripted({"a": steady(4.0), "bad": steady(4.0)})
    device.states = [State(0.0, None, clock, None) for clock in (2000.0, 2000.0, 1500.0)]
    result = measure(device, {"a": b"file", "bad": b"bad"}, timing=Timing(processes=3))
    assert device.groups == [["a"]] * 3
    measured = result["a"]
    assert isinstance(measured, Measurement)
    assert (measured.processes, len(measured.cpu_samples_ms)) == (3, 3 * Timing().min_rounds)
    assert any("1500 and 2000 MHz" in doubt for doubt in measured.warnings)


def test_output_is_checked_before_the_time_counts() -> None:
    image_BCHW = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    right = Check(image_BCHW, image_BCHW.reshape(1, -1) * (1 + 1e-6), 1e-4)
    wrong = Check(image_BCHW, image_BCHW.reshape(1, -1) * 1.1, 1e-2)
    shape = Check(image_BCHW, image_BCHW.reshape(1, -1)[:, :3], 1e-2)
    broken = Check(np.full_like(image_BCHW, np.nan), image_BCHW.reshape(1, -1), 1e-2)
    device = Scripted({name: steady(4.0) for name in ("right", "wrong", "shape", "broken")})
    models = {"right": right, "wrong": wrong, "shape": shape, "broken": broken}
    result = measure(device, {name: Candidate(b"file", check) for name, check in models.items()})
    assert isinstance(result["right"], Measurement) and 0 < (result["right"].difference or 0.0) < 1e-5
    assert all(isinstance(result[name], TrialFailure) for name in ("wrong", "shape", "broken"))
    assert "differ by 0.091 of the output" in str(result["wrong"])


def test_resources_are_told_when_asked() -> None:
    device = Scripted({"a": steady(4.0)})
    plain, told = (measure(device, files(device), resources=asked)["a"] for asked in (False, True))
    assert isinstance(plain, Measurement) and isinstance(told, Measurement)
    assert (plain.peak_memory_mb, plain.energy_mj, plain.size_bytes) == (None, None, 4)
    assert (told.peak_memory_mb, told.energy_mj) == (4.0, 2.0)


def test_a_device_that_cannot_tell_them_keeps_its_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Scripted({"a": steady(4.0)})

    def unknown(_: bytes) -> None:
        raise DeviceError("no /proc here")

    monkeypatch.setattr(device, "resources", unknown)
    (result,) = measure(device, files(device), resources=True).values()
    assert isinstance(result, Measurement)
    assert (result.latency_ms, result.peak_memory_mb) == (4.0, None)
    assert result.warnings == ("memory and energy are not known: no /proc here",)


def test_cache_answers_and_learns() -> None:
    device = Scripted({"a": steady(4.0), "b": steady(5.0), "bad": steady(1.0)})
    cache: dict[str, dict[str, object]] = {}
    measure(device, {"a": b"file", "bad": b"bad"}, cache=cache)
    assert list(cache) == [measurement_key("a", HERE.device, HERE.engine)]
    device.times["a"] = steady(400.0)
    result = measure(device, {"a": b"file", "b": b"file"}, cache=cache)
    assert (headline(result["a"]), headline(result["b"])) == (4.0, 5.0)
    assert device.groups[-1] == ["b"]
    assert len(cache) == 2
    before = len(device.groups)
    measure(device, {"a": b"file", "b": b"file"}, cache=cache)
    assert len(device.groups) == before


def test_what_another_version_stored_is_measured_again() -> None:
    device = Scripted({"a": steady(4.0)})
    cache: dict[str, dict[str, object]] = {measurement_key("a", HERE.device, HERE.engine): {"latency_ms": 1.0}}
    assert headline(measure(device, files(device), cache=cache)["a"]) == 4.0


def test_a_device_that_goes_away_loses_no_finished_measurement() -> None:
    device = Scripted({"a": steady(4.0), "b": steady(5.0)}, gone=25)
    cache: dict[str, dict[str, object]] = {}
    with pytest.raises(DeviceGone):
        measure(device, files(device), timing=Timing(together=1), cache=cache)
    assert len(cache) == 1
    result = measure(device, files(device), timing=Timing(together=1), cache=cache)
    assert (headline(result["a"]), headline(result["b"])) == (4.0, 5.0)
    assert device.groups[-1] == ["b"], "only what was not finished is measured again"


def test_keys_differ_by_each_part() -> None:
    keys = {measurement_key(*parts) for parts in [("a", "d", "e"), ("b", "d", "e"), ("a", "b", "e"), ("a", "d", "f")]}
    assert len(keys) == 4
    assert measurement_key("a", "d", "e") == measurement_key("a", "d", "e")


@pytest.mark.parametrize(
    "wrong",
    [{"min_rounds": LEAST_SAMPLES - 1}, {"min_rounds": 30, "max_rounds": 20}, {"precision": 0.0}, {"span_s": -1.0}],
)
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

    device: Device = open_device("local", engine="onnxruntime")
    result = measure(device, {"bad": b"", "four": chain(4), "eight": chain(8)}, resources=True)
    assert isinstance(result["bad"], TrialFailure)
    assert 1.6 < headline(result["eight"]) / headline(result["four"]) < 2.5
    four = result["four"]
    assert isinstance(four, Measurement) and four.probe_factor is not None and four.peak_memory_mb is not None

"""Findings about a device, and how far runs on it differ, from scripted times."""

from __future__ import annotations

from typing import Any

import pytest
from latency_bench import Scripted, Times, described

from nasfit.devices import State
from nasfit.errors import DeviceError
from nasfit.latency import Timing
from nasfit.latency.health import (
    BAD,
    OK,
    WARNING,
    Finding,
    Repeatability,
    findings,
    judged,
    repeatability,
    room,
    usable,
    verdict,
)

CALM = State(0.1, 50.0, 2000.0, None)
QUICK = Timing(min_rounds=11, max_rounds=11, span_s=0.0)


def states(found: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.state for finding in found}


def measured(**changes: Any) -> Repeatability:
    values: dict[str, Any] = {"latencies_ms": {"a": [4.0, 4.04]}, "clean_share": 0.9, "probe_factor": 1.02}
    return Repeatability(**(values | {"failures": {}} | changes))


def test_a_quiet_device_has_nothing_to_mend() -> None:
    found = findings(described(cores=4, governor="performance", load_average=0.3), CALM)
    assert states(found) == dict.fromkeys(
        ("engine", "real-time priority", "cores", "governor", "load", "throttling"), OK
    )
    assert not any(finding.fix for finding in found)


@pytest.mark.parametrize(
    ("what", "changes", "state", "words"),
    [
        ("real-time priority", {"realtime": False}, CALM, "rtprio"),
        ("cores", {"cores": 1}, CALM, "only core"),
        ("governor", {"governor": "ondemand"}, CALM, "scaling_governor"),
        ("governor", {"governor": "schedutil", "os": "Android 15"}, CALM, "rooted"),
        ("load", {"cores": 2, "load_average": 1.5}, CALM, "end them"),
        ("throttling", {}, State(None, 70.0, None, "the device says that it is throttled"), "cool"),
        ("throttling", {}, State(None, 90.0, None, None), "cool"),
        ("throttling", {"temperature_c": 90.0}, State(None, None, None, None), "cool"),
    ],
)
def test_what_disturbs_is_a_warning_with_its_cure(what: str, changes: dict[str, Any], state: State, words: str) -> None:
    found = findings(described(**({"cores": 4} | changes)), state)
    assert [finding.what for finding in found if finding.state == WARNING] == [what]
    assert words in next(finding.fix for finding in found if finding.what == what)
    assert usable(found)


def test_real_time_priority_is_only_missed_where_it_was_wanted() -> None:
    for told in (described(cores=4, realtime=False, threads=2), described(cores=4, realtime=False)):
        assert "real-time priority" not in states(findings(told, CALM, wants_realtime=told.threads == 2))
    phone = described(cores=4, realtime=False, os="Android 15")
    assert states(findings(phone, CALM))["real-time priority"] == OK


def test_room() -> None:
    assert states(room(8000.0, 5000.0, "/tmp")) == {"free memory": OK, "free disk": OK}
    assert states(room(None, None, "/tmp")) == {"free memory": OK, "free disk": OK}
    cramped = room(100.0, 50.0, "/tmp")
    assert states(cramped) == {"free memory": WARNING, "free disk": WARNING}
    assert "/tmp" in cramped[1].fix


def test_every_run_is_a_fresh_process_in_another_order() -> None:
    times: dict[str, Times] = {name: lambda _: (4.0, 4.0) for name in "abc"}
    device = Scripted(times)
    result = repeatability(device, dict.fromkeys("abc", b"file"), runs=3, timing=QUICK)
    assert device.groups == [["a", "b", "c"]] * 3
    assert result.latencies_ms == {name: [4.0] * 3 for name in "abc"}
    assert (result.spread, result.clean_share, result.probe_factor, result.failures) == (0.0, 1.0, 1.0, {})
    orders = ["".join(name for name, _, _ in device.log[start : start + 36]) for start in (0, 36, 72)]
    assert len(set(orders)) == 3


def test_the_spread_is_that_of_the_worst_network() -> None:
    run = {"calm": 0, "wild": 0}

    def wild(_: int) -> tuple[float, float]:
        return (4.0 + 0.4 * (len(device.groups) - 1),) * 2

    device = Scripted({"calm": lambda _: (4.0, 4.0), "wild": wild})
    result = repeatability(device, dict.fromkeys(run, b"file"), runs=3, timing=QUICK)
    assert result.latencies_ms["wild"] == pytest.approx([4.0, 4.4, 4.8])
    assert result.spread == pytest.approx(0.4 / 4.4)


def test_a_network_that_fails_is_named_and_the_others_count() -> None:
    device = Scripted({"a": lambda _: (4.0, 4.0), "bad": lambda _: (4.0, 4.0)})
    result = repeatability(device, {"a": b"file", "bad": b"bad"}, runs=2, timing=QUICK)
    assert list(result.latencies_ms) == ["a"] and list(result.failures) == ["bad"]
    assert device.groups == [["a"], ["a"]], "it is not tried again"
    assert not usable(judged(result))
    with pytest.raises(DeviceError, match="no network runs on scripted"):
        repeatability(Scripted({"bad": lambda _: (4.0, 4.0)}), {"bad": b"bad"}, runs=2, timing=QUICK)


@pytest.mark.parametrize(
    ("changes", "what", "state"),
    [
        ({}, "spread between runs", OK),
        ({"latencies_ms": {"a": [4.0, 4.0], "b": [4.0, 4.3]}}, "spread between runs", WARNING),
        ({"latencies_ms": {"a": [4.0, 6.0]}}, "spread between runs", BAD),
        ({}, "contention", OK),
        ({"clean_share": 0.3}, "contention", WARNING),
        ({}, "memory probe", OK),
        ({"probe_factor": 1.3}, "memory probe", WARNING),
    ],
)
def test_judgement(changes: dict[str, Any], what: str, state: str) -> None:
    found = judged(measured(**changes))
    assert states(found)[what] == state
    assert usable(found) == (state != BAD)


def test_without_a_probe_nothing_is_said_of_it() -> None:
    assert "memory probe" not in states(judged(measured(probe_factor=None)))


def test_the_verdict_is_the_spread_to_expect() -> None:
    assert "+-0.5%" in verdict("local", [], measured()) and "3%" in verdict("local", [], measured())
    noisy = measured(latencies_ms={"a": [4.0, 4.4]})
    assert "closer than 10%" in verdict("local", judged(noisy), noisy)
    bad = [Finding("phone", BAD, "unauthorized", "accept the dialog")]
    assert verdict("adb", bad, None) == "not usable: phone: unauthorized"
    assert verdict("local", [], None) == "local answers; nothing was measured"

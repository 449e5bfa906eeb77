"""Measuring on a phone that is not there, through the adb server's real protocol."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import adb_network
import numpy as np
import pytest
from adb_phone import FakePhone
from adb_server import FakeServer
from adb_setting import phones_connected

from nasfit.devices import check_device
from nasfit.devices.adb import AdbDevice
from nasfit.devices.adb_diagnosis import diagnose
from nasfit.devices.adb_server import Phone, adb_devices
from nasfit.errors import DeviceError, TrialFailure, UnknownNameError, UsageError

NETWORK = adb_network.doubling()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with phones_connected(tmp_path, monkeypatch) as (server, _):
        yield server


@pytest.fixture
def phone(server: FakeServer) -> FakePhone:
    return server.phones[0]


def calls(phone: FakePhone) -> list[list[str]]:
    """Arguments of `taskset` in every call of benchmark_model."""
    return [line.split() for line in (phone.root / "taskset-calls").read_text().splitlines()]


def test_the_phone_keeps_the_contract_with_networks_that_really_run(phone: FakePhone) -> None:
    phone.benchmark("real")
    check_device(AdbDevice(), NETWORK, adb_network.image_BCHW(), adb_network.expected_BK())


def test_old_phones_and_servers(server: FakeServer, phone: FakePhone) -> None:
    """Without shell v2 the exit code is lost, and must be found out otherwise; old servers choose phones otherwise."""
    phone.features, server.version = None, 39
    with AdbDevice().open() as session:
        session.load("good", NETWORK)
        assert session.sample("good", warm=1, runs=3).wall_ms == pytest.approx(1.501)
        with pytest.raises(TrialFailure, match=r"exit code 1: .*Failed to load model"):
            session.load("bad", b"no network")
    assert any(request.startswith("host:transport:") for request in server.requests)
    assert not any("tport" in request for request in server.requests)


def test_a_sample_is_one_call_on_the_fastest_core_with_the_options_asked_for(phone: FakePhone) -> None:
    phone.benchmark("canned 2000")
    with AdbDevice(timeout_s=12).open() as session:
        session.load("a", NETWORK)
        before = len(calls(phone))
        sample = session.sample("a", warm=2, runs=5)
        options = calls(phone)[before:]
    assert (sample.wall_ms, sample.cpu_ms, sample.probe_ms, sample.runs) == (2.002, None, None, 5)
    assert len(options) == 1
    mask, program, *flags = options[0]
    assert int(mask, 16) == 1 << 7, "cores 6 and 7 are equally fast: the last of them"
    assert "/data/local/tmp/nasfit/benchmark_model-" in program
    assert {
        "--num_threads=1",
        "--use_xnnpack=true",
        "--warmup_runs=2",
        "--num_runs=5",
        "--min_secs=0",
        "--warmup_min_secs=0",
        "--max_secs=12",
    } < set(flags)


@pytest.mark.parametrize(("wanted", "mask"), [({"core": 2}, 0b100), ({"threads": 3}, 0b11100000)])
def test_cores_and_threads_as_wanted(phone: FakePhone, wanted: dict[str, int], mask: int) -> None:
    (phone.root / "sys/devices/system/cpu/cpu5/cpufreq/cpuinfo_max_freq").write_text("2000000\n")
    device = AdbDevice(**wanted)  # type: ignore[arg-type]
    with device.open() as session:
        session.load("a", NETWORK)
    assert int(calls(phone)[-1][0], 16) == mask
    assert f"--num_threads={wanted.get('threads', 1)}" in calls(phone)[-1]
    assert device.describe().core == wanted.get("core")


def test_a_core_that_is_not_online_is_refused(phone: FakePhone) -> None:
    (phone.root / "sys/devices/system/cpu/online").write_text("0-3,6\n")
    with pytest.raises(UsageError, match=r"core is 7; the phone's cores online are 0, 1, 2, 3, 6"):
        AdbDevice(core=7).describe()
    assert AdbDevice().describe().core == 6


def test_description(phone: FakePhone) -> None:
    told = AdbDevice().describe()
    assert (
        told.device
        == AdbDevice(phone.serial).describe().device
        == "adb: Acme Phone 9 (unit e800), Acme S900, Android 14"
    )
    assert phone.serial not in repr(told)
    assert told.engine.startswith("litert benchmark_model ") and told.engine.endswith(", 1 thread")
    assert (told.cores, told.core, told.threads, told.governor) == (8, 7, 1, "schedutil")
    assert (told.temperature_c, told.clock_mhz, told.load_average, told.memory_mb) == (43.5, 2400.0, 1.25, 8192.0)
    assert told.power == "screen off, charging (USB)"


def test_units_of_one_model_are_told_apart(phone: FakePhone) -> None:
    one = AdbDevice().describe().device
    phone.set_property(ro__serialno="SECRET7654321")
    assert AdbDevice().describe().device != one


def test_a_phone_that_tells_little(phone: FakePhone) -> None:
    """Makers keep back what they like: None then, and no failure."""
    for path in ("dumpsys/battery", "dumpsys/thermalservice", "dumpsys/power", "proc/loadavg", "proc/meminfo"):
        (phone.root / path).unlink()
    for path in (phone.root / "sys/devices/system/cpu").rglob("cpufreq/*"):
        path.unlink()
    told = AdbDevice().describe()
    assert (told.temperature_c, told.clock_mhz, told.load_average, told.power, told.memory_mb) == (None,) * 5
    assert told.core == 7
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        assert session.sample("a", warm=0, runs=1).wall_ms == 1.5
        assert session.state().throttled is None


def test_only_the_binary_stays_on_the_phone_and_is_pushed_once(phone: FakePhone) -> None:
    foreign = phone.root / "data/local/tmp/nasfit-of-somebody-else"
    foreign.write_bytes(b"keep")
    for _ in range(2):
        with AdbDevice().open() as session:
            session.load("a", NETWORK)
            inside = phone.stored()
        assert any(path.startswith("nasfit/session-") and path.endswith(".tflite") for path in inside)
        assert [path.partition("-")[0] for path in phone.stored()] == ["nasfit", "nasfit/benchmark_model"]
        assert foreign.read_bytes() == b"keep"
    program = phone.root / "data/local/tmp" / phone.stored()[1]
    assert program.stat().st_mode & 0o777 == 0o755
    assert sum("mv " in line for line in phone.lines) == 1


def test_resources_on_a_charger_have_no_energy(phone: FakePhone) -> None:
    phone.draws(-500000, 4000000)
    resources = AdbDevice(energy_s=0.3).resources(NETWORK)
    assert resources.peak_memory_mb == pytest.approx(10.5 * 1.048576)
    assert resources.energy_mj is None


@pytest.mark.parametrize(
    ("microamperes", "microvolts", "milliwatts"),
    [(-500000, 4000000, 2000), (500, 4000000, 2000), (400000, None, 0.4 * 4100)],
    ids=["microamperes", "milliamperes", "voltage of dumpsys"],
)
def test_energy_on_battery(phone: FakePhone, microamperes: int, microvolts: int | None, milliwatts: float) -> None:
    phone.tell(charging=False)
    phone.draws(microamperes, microvolts)
    resources = AdbDevice(energy_s=0.01).resources(NETWORK)
    # Ten runs of 1500, 1501, ... us take 1.5045 ms each.
    assert resources.energy_mj == pytest.approx(milliwatts * 1.5045e-3)


def test_a_current_that_is_kept_back_gives_no_energy(phone: FakePhone) -> None:
    phone.tell(charging=False)
    assert AdbDevice(energy_s=0.01).resources(NETWORK).energy_mj is None


@pytest.mark.parametrize("heat", [{"thermal": 3}, {"tenths": 433}], ids=["throttling", "battery"])
def test_a_hot_phone_is_waited_for(phone: FakePhone, heat: dict[str, int]) -> None:
    pauses: list[float] = []

    def cooling(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 3:
            phone.tell()

    with AdbDevice(sleep=cooling, poll_s=7).open() as session:
        session.load("a", NETWORK)
        phone.tell(**heat)
        before = len(calls(phone))
        session.sample("a", warm=0, runs=1)
        assert pauses == [7, 7, 7]
        assert len(calls(phone)) == before + 1
        assert session.state().throttled is None


def test_a_phone_that_stays_hot_is_not_waited_for_for_ever_and_says_so(phone: FakePhone) -> None:
    pauses: list[float] = []
    phone.tell(thermal=2)
    with AdbDevice(sleep=pauses.append, wait_s=20, poll_s=8).open() as session:
        session.load("a", NETWORK)
        session.sample("a", warm=0, runs=1)
        assert pauses == [8, 8, 4]
        session.sample("a", warm=0, runs=1)
        assert pauses == [8, 8, 4], "it was waited for long enough"
        phone.tell()
        throttled = session.state().throttled
        assert throttled is not None and throttled.startswith("thermal status 2 (moderate), after waiting 20 s")
        assert session.state().throttled is None, "told once"
        phone.tell(thermal=4)
        assert session.state().throttled == "thermal status 4 (critical)"


@pytest.mark.parametrize(("limit_c", "pauses"), [(43.5, []), (43.3, [5])])
def test_the_limit_of_the_battery_is_settable(phone: FakePhone, limit_c: float, pauses: list[float]) -> None:
    paused: list[float] = []
    phone.tell(tenths=434)
    with AdbDevice(hot_c=limit_c, wait_s=5, sleep=paused.append).open() as session:
        session.load("a", NETWORK)
        session.sample("a", warm=0, runs=1)
    assert paused == pauses


def test_wrong_arguments() -> None:
    with pytest.raises(UnknownNameError, match=r"known: litert"):
        AdbDevice(engine="onnxruntime")
    with pytest.raises(UsageError, match=r"core 3 and 2 threads"):
        AdbDevice(core=3, threads=2)
    with pytest.raises(UsageError, match=r"timeout"):
        AdbDevice(timeout_s=0)
    with pytest.raises(UsageError, match=r"wait_s -1"):
        AdbDevice(wait_s=-1)


def test_names_of_networks(phone: FakePhone) -> None:
    with AdbDevice().open() as session:
        session.load("mine", NETWORK)
        with pytest.raises(UsageError, match=r"already loaded"):
            session.load("mine", NETWORK)
        with pytest.raises(UnknownNameError, match=r"did you mean 'mine'"):
            session.sample("mime", warm=0, runs=1)


# --- which phone, and what is missing -------------------------------------------------------------------------------


def test_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with phones_connected(tmp_path, monkeypatch, "ONE", "TWO", "THREE") as (server, _):
        server.phones[1].state, server.phones[2].state = "unauthorized", "no permissions"
        one, two, three = adb_devices()
    assert one == Phone("ONE", "Phone 9", "device", "")
    assert (two.serial, two.state) == ("TWO", "unauthorized") and "accept the dialog" in two.hint
    assert three.state == "not accessible" and "udev" in three.hint


def test_several_phones_need_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with phones_connected(tmp_path, monkeypatch, "ONE", "TWO"):
        with pytest.raises(UsageError, match=r"2 phones are connected; name one as adb:SERIAL: ONE .*TWO"):
            AdbDevice().describe()
        assert AdbDevice("TWO").describe().device.startswith("adb: Acme Phone 9")
        monkeypatch.setenv("ANDROID_SERIAL", "ONE")
        assert AdbDevice().describe().device.startswith("adb: Acme Phone 9")


def test_the_only_phone_is_not_replaced_by_one_plugged_in_later(server: FakeServer, tmp_path: Path) -> None:
    device = AdbDevice()
    device.describe()
    server.phones.append(FakePhone(tmp_path / "later", "LATER"))
    device.describe()


def test_an_unknown_serial_is_told_what_is_there(phone: FakePhone) -> None:
    with pytest.raises(
        DeviceError, match=r"no phone 'OTHER' is connected; there is: SECRET1234567 \(Phone 9, device\)"
    ):
        AdbDevice("OTHER").describe()


def test_no_phone(server: FakeServer) -> None:
    server.phones.clear()
    with pytest.raises(DeviceError, match=r"no phone is connected; turn on USB debugging"):
        AdbDevice().describe()


def test_no_server(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    with pytest.raises(DeviceError, match=r"no adb server answers .*; install adb"):
        AdbDevice().describe()


def test_missing_binary(phone: FakePhone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NASFIT_BENCHMARK_MODEL")
    with pytest.raises(DeviceError) as told:
        AdbDevice().describe()
    for piece in ("arm64-v8a", "android_aarch64_benchmark_model", "Performance measurement", ".cache/nasfit"):
        assert piece in str(told.value)
    cached = tmp_path / ".cache/nasfit/benchmark_model-arm64-v8a"
    cached.parent.mkdir(parents=True)
    cached.write_bytes((tmp_path / "benchmark_model").read_bytes())
    AdbDevice().describe()
    with pytest.raises(DeviceError, match=r"no benchmark_model at /nowhere .from the given path."):
        AdbDevice(benchmark_model="/nowhere").describe()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b"\x7fELF" + bytes(12) + struct.pack("<HH", 3, 62) + bytes(50),
            "is built for x86_64, the phone runs arm64-v8a",
        ),
        (b"<!DOCTYPE html><html>not the file", "is no program for Android .it starts with b'<!DOCTYP"),
    ],
    ids=["wrong ABI", "web page"],
)
def test_a_binary_that_does_not_fit(phone: FakePhone, tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "benchmark_model").write_bytes(content)
    with pytest.raises(DeviceError, match=told):
        AdbDevice().describe()


def test_diagnosis_of_a_phone_that_is_well(phone: FakePhone) -> None:
    checks = diagnose()
    assert [check.what for check in checks if check.ok] == [
        "adb server",
        "phone",
        "Android started",
        "benchmark_model",
        "benchmark_model runs",
        "quiet and cool",
    ]


@pytest.mark.parametrize(
    ("fault", "what", "fix"),
    [
        (lambda phone: setattr(phone, "state", "unauthorized"), "phone", "accept the dialog"),
        (lambda phone: phone.set_property(sys__boot_completed=""), "Android started", "home screen"),
        (lambda phone: phone.set_property(ro__product__cpu__abilist="armeabi-v7a"), "benchmark_model", "android_arm_"),
        (lambda phone: phone.tell(thermal=3), "quiet and cool", "cool down"),
    ],
)
def test_diagnosis_names_the_fault_and_its_fix(phone: FakePhone, fault: object, what: str, fix: str) -> None:
    fault(phone)  # type: ignore[operator]
    *well, last = diagnose()
    assert all(check.ok for check in well)
    assert (last.what, last.ok) == (what, False) and fix in last.fix, last


def test_the_image_reaches_the_network_channels_last(phone: FakePhone) -> None:
    phone.benchmark("real")
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        output_BK = session.run("a", adb_network.image_BCHW())
        # The program would resize the network to any batch.
        with pytest.raises(TrialFailure, match=r"input of shape \(2, 3, 5, 4\); networks on a phone take batch 1"):
            session.run("a", np.concatenate([adb_network.image_BCHW()] * 2))
    np.testing.assert_allclose(output_BK, adb_network.expected_BK(), rtol=1e-6)


def test_wiping_removes_what_was_put_there(phone: FakePhone) -> None:
    phone.benchmark("canned 2000")
    with AdbDevice().open() as session:
        session.load("good", NETWORK)
    (removed,) = AdbDevice().wipe()
    assert removed.endswith("/data/local/tmp/nasfit")
    assert AdbDevice().wipe() == []

"""What goes wrong with phones: pulled cables, restarts, full storage, networks that crash. Finished samples stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import adb_network
import pytest
from adb_phone import FakePhone, in_background
from adb_server import FakeServer
from adb_setting import phones_connected

from nasfit.devices.adb import AdbDevice
from nasfit.devices.adb_link import Link, PhoneTimeout
from nasfit.devices.adb_session import AdbSession
from nasfit.devices.device import Sample
from nasfit.errors import DeviceError, DeviceGone, NasfitError, TrialFailure

pytestmark = pytest.mark.fault
NETWORK = adb_network.doubling()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with phones_connected(tmp_path, monkeypatch) as (server, _):
        yield server


@pytest.fixture
def phone(server: FakeServer) -> FakePhone:
    return server.phones[0]


@pytest.fixture(params=["shell v2", "shell before v2"])
def any_phone(phone: FakePhone, request: pytest.FixtureRequest) -> FakePhone:
    """Phones of before Android 7 lose exit codes and tell an end by closing the connection, as a cut does."""
    phone.features = "shell_v2" if request.param == "shell v2" else "cmd"
    return phone


def at_benchmark(phone: FakePhone, number: int, happens: Callable[[], None]) -> None:
    """Let it happen a moment into the so-many-th call of benchmark_model from now, the call itself hanging."""
    seen = 0

    def watch(line: str) -> None:
        nonlocal seen
        seen += "--graph" in line
        if "--graph" in line and seen == number:
            phone.benchmark("hang")
            in_background(happens, 0.1)

    phone.on_line = watch


def samples_until_gone(session: AdbSession, model: str, kept: list[Sample]) -> DeviceGone:
    """As whoever measures: one sample after the other, each kept as soon as it is there."""
    with pytest.raises(DeviceGone) as told:
        while len(kept) < 20:
            kept.append(session.sample(model, warm=0, runs=2))
    return told.value


def test_unplugged_in_a_sample_and_plugged_in_again(any_phone: FakePhone) -> None:
    kept: list[Sample] = []
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        at_benchmark(any_phone, 3, any_phone.unplug)
        gone = samples_until_gone(session, "a", kept)
        assert f"phone {any_phone.serial} is not connected any more" in str(gone)
        assert len(kept) == 2
        with pytest.raises(DeviceGone, match="not connected any more"):
            session.sample("a", warm=0, runs=2)
        any_phone.state = "device"
        any_phone.benchmark("canned")
        kept.append(session.sample("a", warm=0, runs=2))
    assert [sample.wall_ms for sample in kept] == [1.5005] * 3


def test_the_connection_is_cut_but_the_phone_is_back_at_once(any_phone: FakePhone) -> None:
    def flicker() -> None:
        any_phone.unplug()
        any_phone.state = "device"

    kept: list[Sample] = []
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        at_benchmark(any_phone, 2, flicker)
        told = str(samples_until_gone(session, "a", kept))
        # On a busy machine the look may fall into the moment between the two.
        assert "was cut" in told or "not connected" in told
        any_phone.benchmark("canned")
        session.sample("a", warm=0, runs=2)
    assert len(kept) == 1


def test_restarted(phone: FakePhone) -> None:
    """Gone for a while, then there but still starting, then usable; a restart may also empty the folder."""
    kept: list[Sample] = []
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        session.load("b", NETWORK)
        at_benchmark(phone, 2, phone.unplug)
        samples_until_gone(session, "a", kept)
        for path in sorted((phone.root / "data/local/tmp").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        phone.set_property(sys__boot_completed="")
        phone.benchmark("canned")

        reasons = []
        for model in ("a", "a", "a", "b"):
            try:
                kept.append(session.sample(model, warm=0, runs=2))
            except DeviceGone as gone:
                reasons.append(str(gone).removeprefix(f"phone {phone.serial} "))
                if phone.state:
                    phone.set_property()
                phone.state = "device"
    assert len(kept) == 3
    assert "is not connected any more" in reasons[0] and reasons[1:] == ["is still starting"]
    assert not any("session" in path for path in phone.stored())


@pytest.mark.parametrize(
    ("state", "error", "told"),
    [
        ("offline", DeviceGone, "is offline; unplug it and plug it in again"),
        ("unauthorized", DeviceError, "is unauthorized; unlock the phone and accept the dialog"),
        ("authorizing", DeviceGone, "is authorizing; unlock the phone"),
        ("recovery", DeviceError, "is recovery; start the phone into Android"),
        ("no permissions", DeviceError, "is not accessible; this user may not open it: add udev rules"),
    ],
)
@pytest.mark.parametrize("when", ["from the start", "in a session"])
def test_a_phone_that_is_there_but_not_usable(
    server: FakeServer, state: str, error: type[NasfitError], told: str, when: str
) -> None:
    phone = server.phones[0]
    device = AdbDevice()
    if when == "from the start":
        phone.state = state
        with pytest.raises(error, match=told) as raised:
            device.describe()
    else:
        with device.open() as session:
            session.load("a", NETWORK)
            phone.state = state
            with pytest.raises(error, match=told) as raised:
                session.sample("a", warm=0, runs=1)
    assert type(raised.value) is error


def test_a_folder_left_behind_is_removed_at_the_next_opening(phone: FakePhone) -> None:
    device = AdbDevice()
    with pytest.raises(DeviceGone), device.open() as session:
        session.load("a", NETWORK)
        at_benchmark(phone, 1, phone.unplug)
        session.sample("a", warm=0, runs=1)
    assert any("session-" in path for path in phone.stored())
    phone.state = "device"
    with device.open():
        assert not any(path.endswith(".tflite") for path in phone.stored())
    assert [path.partition("-")[0] for path in phone.stored()] == ["nasfit/benchmark_model"]


@pytest.mark.parametrize("what", ["network", "program"])
def test_full_storage(phone: FakePhone, what: str) -> None:
    large = NETWORK + bytes(3 << 20)
    device = AdbDevice()
    if what == "program":
        phone.free_bytes = 100
        full = pytest.raises(
            DeviceError, match=r"cannot write .*/benchmark_model: .*No space left on device; make room"
        )
        with full, device.open():
            pass
    else:
        with device.open() as session:
            session.load("small", NETWORK)
            kept = session.sample("small", warm=0, runs=1)
            phone.free_bytes = 1 << 20
            with pytest.raises(DeviceError, match=r"cannot write .*tflite: .*No space left on device") as told:
                session.load("large", large)
            assert not isinstance(told.value, DeviceGone)
            assert session.sample("small", warm=0, runs=1) == kept
            phone.free_bytes = None
            session.load("large", large)
    assert not any("session" in path for path in phone.stored())


def test_a_network_that_crashes_the_engine_fails_alone(any_phone: FakePhone) -> None:
    with AdbDevice().open() as session:
        session.load("good", NETWORK)
        kept = session.sample("good", warm=0, runs=1)
        any_phone.benchmark("crash")
        with pytest.raises(TrialFailure, match=r"signal 11: INFO: STARTING!"):
            session.load("bad", NETWORK)
        before = len(any_phone.lines)
        with pytest.raises(TrialFailure, match="signal 11"):
            session.sample("bad", warm=0, runs=1)
        assert len(any_phone.lines) == before, "known to fail: not tried again"
        any_phone.benchmark("canned")
        assert session.sample("good", warm=0, runs=1) == kept


def test_one_death_is_not_held_against_a_network(phone: FakePhone) -> None:
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        phone.benchmark("crash-once")
        assert session.sample("a", warm=0, runs=1).wall_ms == 1.5


def test_a_network_that_hangs_is_ended_on_the_phone_too(any_phone: FakePhone) -> None:
    with AdbDevice(timeout_s=0.2).open() as session:
        session.load("a", NETWORK)
        session.grace_s = 0.3
        any_phone.benchmark("hang")
        with pytest.raises(TrialFailure, match=r"no end within 0\.2 s"):
            session.sample("a", warm=0, runs=1)
        pid = int((any_phone.root / f"data/local/tmp/nasfit/{session.folder.rpartition('/')[2]}/pid").read_text())
        time.sleep(0.1)
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        any_phone.benchmark("canned")
        session.grace_s = 20
        session.load("b", NETWORK)


@pytest.mark.parametrize(
    ("mode", "told"), [("garbage", "unreadable report .*no report today"), ("fewer", "1 of 2 runs")]
)
def test_reports_that_cannot_be_right(phone: FakePhone, mode: str, told: str) -> None:
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        phone.benchmark(mode)
        with pytest.raises(TrialFailure, match=told):
            session.sample("a", warm=0, runs=2)


def test_a_program_that_writes_no_output_is_told_to_be_old(phone: FakePhone) -> None:
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        with pytest.raises(DeviceError, match="older than its option --output_filepath"):
            session.run("a", adb_network.image_BCHW())


def test_a_program_that_does_not_start_blames_no_network(phone: FakePhone) -> None:
    with AdbDevice().open() as session:
        session.load("a", NETWORK)
        for path in (phone.root / "data/local/tmp/nasfit").glob("benchmark_model-*"):
            path.write_bytes(path.read_bytes().replace(b"\xb7\x00", b"\x3e\x00"))
        with pytest.raises(DeviceError, match=r"does not start on the phone: .*not executable: 64-bit ELF") as told:
            session.sample("a", warm=0, runs=1)
    assert not isinstance(told.value, DeviceGone)


# --- the connection itself ------------------------------------------------------------------------------------------


def test_exit_codes_and_output(any_phone: FakePhone) -> None:
    link = Link(any_phone.serial)
    assert link.shell("echo out; echo err >&2; exit 7" if any_phone.features == "shell_v2" else "(exit 7)", 5)[0] == 7
    assert link.shell("echo 'two words'; echo second", 5) == (0, "two words\nsecond\n")
    assert link.shell("sh -c 'kill -9 $$'", 5)[0] == 137


def test_a_phone_that_falls_silent(any_phone: FakePhone) -> None:
    started = time.monotonic()
    with pytest.raises(PhoneTimeout):
        Link(any_phone.serial).shell("sleep 60", 0.3)
    with pytest.raises(PhoneTimeout):  # each byte in time, the end not
        Link(any_phone.serial).shell("while sleep 0.05; do echo on; done", 0.5)
    assert time.monotonic() - started < 15


def test_large_files_survive_the_way_there_and_back(phone: FakePhone) -> None:
    link, content = Link(phone.serial), bytes(range(256)) * 9999
    link.push(content, "/data/local/tmp/large", 20)
    assert link.pull("/data/local/tmp/large", 20) == content
    assert link.pull("/data/local/tmp/absent", 20) is None

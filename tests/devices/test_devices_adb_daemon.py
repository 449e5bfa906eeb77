"""Against a real adb: Debian's server in between, a daemon that speaks the wire protocol behind it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import adb_network
import numpy as np
import pytest
from adb_daemon import running_daemon
from adb_phone import FakePhone, in_background
from adb_setting import set_surroundings

from nasfit.devices.adb import AdbDevice
from nasfit.devices.adb_server import adb_devices
from nasfit.devices.adb_session import AdbSession
from nasfit.devices.device import Sample
from nasfit.errors import DeviceError, DeviceGone, TrialFailure

ADB = shutil.which("adb")
pytestmark = pytest.mark.skipif(ADB is None, reason="needs adb (Debian: apt install adb)")
NETWORK = adb_network.doubling()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def adb(*arguments: str) -> str:
    """Our server is found through ANDROID_ADB_SERVER_PORT, so that no server of the user's is touched."""
    return subprocess.run([str(ADB), *arguments], capture_output=True, text=True, timeout=30, check=True).stdout


def sample_once_back(session: AdbSession) -> Sample:
    """As whoever measures: wait while the phone is gone (the server calls it offline for a moment), and try again."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return session.sample("a", warm=0, runs=1)
        except DeviceGone:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    port = free_port()
    set_surroundings(tmp_path, monkeypatch, port)
    monkeypatch.setenv("ADB_MDNS_AUTO_CONNECT", "0")
    server = subprocess.Popen(
        [str(ADB), "nodaemon", "server"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
    )
    try:
        deadline = time.monotonic() + 20
        while not answers(port):
            assert server.poll() is None and time.monotonic() < deadline, "the adb server does not start"
            time.sleep(0.02)
        yield
    finally:
        server.kill()
        server.wait(timeout=10)


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[FakePhone]:
    phone = FakePhone(tmp_path / "phone")
    yield phone
    phone.stop()


@pytest.mark.parametrize("features", ["shell_v2,cmd", "cmd"])
def test_measuring_through_a_real_server(real_server: None, phone: FakePhone, features: str) -> None:
    phone.benchmark("real")
    phone.features = features
    with running_daemon(phone) as daemon:
        assert "connected" in adb("connect", f"127.0.0.1:{daemon.port}")
        [found] = adb_devices()
        assert (found.serial, found.model, found.state) == (f"127.0.0.1:{daemon.port}", "Phone 9", "device")
        device = AdbDevice(found.serial)
        assert device.describe().device == "adb: Acme Phone 9 (unit e800), Acme S900, Android 14"
        with device.open() as session:
            session.load("a", NETWORK)
            assert session.sample("a", warm=1, runs=3).wall_ms > 0
            np.testing.assert_allclose(session.run("a", adb_network.image_BCHW()), adb_network.expected_BK(), rtol=1e-6)
            phone.benchmark("crash")
            with pytest.raises(TrialFailure, match="signal 11"):
                session.load("b", NETWORK)
    assert [path.partition("-")[0] for path in phone.stored()] == ["nasfit/benchmark_model"]


def test_gone_and_back_through_a_real_server(real_server: None, phone: FakePhone) -> None:
    with running_daemon(phone) as daemon:
        port = daemon.port
        adb("connect", f"127.0.0.1:{port}")
        device = AdbDevice(f"127.0.0.1:{port}")
        with device.open() as session:
            session.load("a", NETWORK)
            kept = session.sample("a", warm=0, runs=1)
            phone.free_bytes = 1000
            with pytest.raises(DeviceError, match="No space left on device"):
                session.load("b", NETWORK + bytes(1 << 20))
            phone.free_bytes = None
            phone.benchmark("hang")
            in_background(daemon.vanish, 0.2)
            with pytest.raises(DeviceGone):
                session.sample("a", warm=0, runs=1)
            daemon.server_close()
            phone.benchmark("canned")
            with running_daemon(phone, port):
                adb("connect", f"127.0.0.1:{port}")
                assert sample_once_back(session) == kept
                session.load("b", NETWORK)
                session.close()

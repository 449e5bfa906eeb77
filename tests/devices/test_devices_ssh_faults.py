"""A board over ssh when the line or the board fails in the middle of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from ssh_server import Board, Proxy, needs_sshd, running_board, wait_for
from tiny_networks import doubling_tflite, endless_onnx

from nasfit.devices.ssh import SshDevice
from nasfit.errors import DeviceError, DeviceGone, TrialFailure
from nasfit.latency import Measurement, Timing, measure

pytestmark = [needs_sshd, pytest.mark.fault]
IMAGE_BCHW = np.random.default_rng(3).standard_normal((1, 3, 8, 8), dtype=np.float32)


@pytest.fixture(scope="module")
def one_board() -> Iterator[Board]:
    with running_board() as running:
        yield running


@pytest.fixture
def board(one_board: Board) -> Board:
    one_board.prepare()
    return one_board


@pytest.fixture
def wiped(board: Board) -> Iterator[None]:
    """For a test that spoils what is on the board."""
    yield
    SshDevice(board.name).wipe()


def through(board: Board, proxy: Proxy, **settings: Any) -> SshDevice:
    """The board by way of the proxy."""
    board.known("host", proxy.port)
    return SshDevice(f"ssh://{board.user}@{board.address}:{proxy.port}", **settings)


def test_a_cut_line_is_gone_and_comes_back(board: Board) -> None:
    with SshDevice(board.name).open() as session:
        session.load("good", doubling_tflite())
        board.cut()
        with pytest.raises(DeviceGone, match=r"the connection to ssh://.* was cut"):
            session.sample("good", warm=0, runs=1)
        # The same session connects anew, and the network is not blamed.
        assert np.array_equal(session.run("good", IMAGE_BCHW), 2 * IMAGE_BCHW)
    wait_for(lambda: not board.workers())


def test_a_cut_in_the_middle_of_a_step(board: Board) -> None:
    device = SshDevice(board.name, engine="onnxruntime", timeout_s=60)
    with device.open() as session:
        threading.Timer(0.5, board.cut).start()
        began = time.monotonic()
        with pytest.raises(DeviceGone):
            session.load("endless", endless_onnx())
            session.sample("endless", warm=0, runs=1)
        assert time.monotonic() - began < 5
        (left_behind,) = board.workers()
        # It computes on; whoever comes back ends it first.
        with device.open() as another:
            assert another.state().load_average is not None
            assert left_behind not in board.workers()


@pytest.mark.slow
def test_a_server_that_stays_away(board: Board) -> None:
    device = SshDevice(board.name)
    with device.open() as session:
        session.load("good", doubling_tflite())
        board.stop()
        for _ in range(2):
            with pytest.raises(DeviceGone):
                session.sample("good", warm=0, runs=1)
        board.start()
        assert session.sample("good", warm=0, runs=1).wall_ms > 0


def test_a_killed_worker_is_blamed_on_the_network_only_the_second_time(board: Board, wiped: None) -> None:
    device = SshDevice(board.name)
    device.describe()
    for worker in (board.home / ".cache" / "nasfit").glob("board-*/worker.py"):
        line = "        infer = self.models[model].net.infer\n"
        text = worker.read_text()
        assert line in text
        worker.write_text(text.replace(line, f"        model == 'killer' and os.kill(os.getpid(), 9)\n{line}"))
    with device.open() as session:
        session.load("good", doubling_tflite())
        (pid,) = board.workers()
        os.kill(pid, signal.SIGKILL)
        assert session.sample("good", warm=0, runs=1).wall_ms > 0
        session.load("killer", doubling_tflite())
        with pytest.raises(TrialFailure, match="ended with signal 9"):
            session.sample("killer", warm=0, runs=1)
        assert session.sample("good", warm=0, runs=1).wall_ms > 0


def test_a_network_that_hangs_is_ended_there_too(board: Board) -> None:
    with SshDevice(board.name, engine="onnxruntime", timeout_s=1).open() as session:
        session.load("endless", endless_onnx())
        (hanging,) = board.workers()
        with pytest.raises(TrialFailure, match="no answer within 1 s"):
            session.sample("endless", warm=0, runs=1)
        assert hanging not in board.workers()


def test_an_interrupted_step_does_not_go_on_there(board: Board) -> None:
    with pytest.raises(KeyboardInterrupt), SshDevice(board.name, engine="onnxruntime").open() as session:
        session.load("endless", endless_onnx())
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        session.sample("endless", warm=0, runs=1)
    wait_for(lambda: not board.workers(), 3)


def test_ctrl_c_does_not_cut_the_line(board: Board) -> None:
    """It reaches every process of the terminal's foreground group, also the ssh client."""
    program = (
        "import signal, sys\nfrom nasfit.devices.ssh import SshDevice\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        "with SshDevice(sys.argv[1]).open() as session:\n"
        "    print('ready', flush=True)\n    sys.stdin.readline()\n    print(session.state())"
    )
    command = [sys.executable, "-c", program, board.name]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
        told, said = process.communicate(b"\n", timeout=30)
    assert told.startswith(b"State("), said


def test_a_stalled_line_is_noticed_and_no_network_is_blamed(board: Board) -> None:
    proxy = Proxy(board.port)
    with closing(proxy), through(board, proxy, timeout_s=1, keep_alive_s=1).open() as session:
        session.load("good", doubling_tflite())
        proxy.flows.clear()
        began = time.monotonic()
        with pytest.raises(DeviceGone):
            session.sample("good", warm=0, runs=1)
        assert time.monotonic() - began < 9
        proxy.flows.set()
        assert session.sample("good", warm=0, runs=1).wall_ms > 0


@pytest.mark.slow
def test_a_slow_line_is_waited_for(board: Board) -> None:
    with SshDevice(board.name).open():
        pass  # the worker is there
    proxy = Proxy(board.port, bytes_s=100_000)
    with closing(proxy), through(board, proxy, timeout_s=1.5).open() as session:
        ballast = os.urandom(250_000)
        began = time.monotonic()
        session.load("large", doubling_tflite() + ballast)
        assert time.monotonic() - began > 1.5
        assert np.array_equal(session.run("large", IMAGE_BCHW), 2 * IMAGE_BCHW)


def test_a_measurement_that_is_cut_loses_nothing_that_was_finished(board: Board) -> None:
    models = {name: doubling_tflite() for name in ("a", "b")}
    timing = Timing(min_rounds=11, max_rounds=11, span_s=0, together=1)
    cache = CutAfterFirst(board)
    device = SshDevice(board.name)
    with pytest.raises(DeviceGone):
        measure(device, models, timing=timing, cache=cache)
    (kept,) = cache.items()
    cache.armed = False
    board.start()
    results = measure(device, models, timing=timing, cache=cache)
    assert all(isinstance(result, Measurement) for result in results.values())
    assert kept in cache.items() and len(cache) == 2


class CutAfterFirst(dict[str, dict[str, Any]]):
    """A cache; the server goes away when the first measurement is stored."""

    def __init__(self, board: Board) -> None:
        super().__init__()
        self.board, self.armed = board, True

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        super().__setitem__(key, value)
        if self.armed:
            self.board.stop()


@pytest.mark.slow
def test_a_key_that_changes_in_the_middle_is_never_followed(board: Board) -> None:
    with SshDevice(board.name).open() as session:
        session.load("good", doubling_tflite())
        board.stop()
        board.start("other_host")
        with pytest.raises(DeviceGone):
            session.sample("good", warm=0, runs=1)
        with pytest.raises(DeviceError, match="HAS CHANGED") as caught:
            session.sample("good", warm=0, runs=1)
        assert not isinstance(caught.value, DeviceGone)


def test_a_full_disk(board: Board) -> None:
    board.script(board.bin / "python3", f'ulimit -f 0; exec {sys.executable} "$@"')
    with pytest.raises(DeviceError, match=r"the disk of ssh://.* is full: .*; free some space"):
        SshDevice(board.name).wipe()
        SshDevice(board.name).describe()
    assert not list((board.home / ".cache" / "nasfit").iterdir())

"""A board with an address and a cable of its own: a network namespace. And servers that are set up otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from ssh_server import Board, needs_sshd, running_board
from tiny_networks import doubling_tflite

from nasfit.devices.ssh import SshDevice
from nasfit.errors import DeviceGone

pytestmark = needs_sshd
# Of documentation (RFC 5737): no real network has them, though a test's machine may.
NET, HERE, THERE = "203.0.113.0/30", "203.0.113.1", "203.0.113.2"
SPACE, CABLE = f"nasfit{os.getpid()}", f"nf{os.getpid()}"


def ip(*arguments: str) -> int:
    return subprocess.run(["ip", *arguments], capture_output=True).returncode


@pytest.fixture
def far_board() -> Iterator[Board]:
    if os.getuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces take root and iproute2")
    taken = subprocess.run(
        ["ip", "route", "show", "to", "match", THERE, "table", "all"], capture_output=True, text=True
    )
    if any("default" not in line for line in taken.stdout.splitlines()):
        pytest.skip(f"{NET} is in use here")
    if ip("netns", "add", SPACE):
        pytest.skip("network namespaces are not allowed here")
    with ExitStack() as stack:
        stack.callback(ip, "netns", "del", SPACE)
        if ip("link", "add", CABLE, "type", "veth", "peer", "name", f"{CABLE}b", "netns", SPACE):
            pytest.skip("no virtual cables here")
        stack.callback(ip, "link", "del", CABLE)
        for step in (
            ("addr", "add", f"{HERE}/30", "dev", CABLE),
            ("link", "set", CABLE, "up"),
            ("-n", SPACE, "addr", "add", f"{THERE}/30", "dev", f"{CABLE}b"),
            ("-n", SPACE, "link", "set", f"{CABLE}b", "up"),
        ):
            assert ip(*step) == 0, step
        yield stack.enter_context(running_board(THERE, ("ip", "netns", "exec", SPACE)))


@pytest.mark.fault
@pytest.mark.slow
def test_a_cable_that_is_pulled_and_put_back(far_board: Board) -> None:
    """Nothing says that the line is cut: only that no sign of life comes."""
    device = SshDevice(far_board.name, keep_alive_s=1)
    with device.open() as session:
        session.load("good", doubling_tflite())
        first = session.sample("good", warm=0, runs=1)
        ip("-n", SPACE, "link", "set", f"{CABLE}b", "down")
        began = time.monotonic()
        with pytest.raises(DeviceGone):
            session.sample("good", warm=0, runs=1)
        assert time.monotonic() - began < 10
        left_behind = far_board.workers()
        assert len(left_behind) == 1  # nobody told the board either
        with pytest.raises(DeviceGone, match="does not answer"):
            session.sample("good", warm=0, runs=1)
        ip("-n", SPACE, "link", "set", f"{CABLE}b", "up")
        assert session.sample("good", warm=0, runs=1).runs == first.runs
        assert len(far_board.workers()) == 1 and far_board.workers() != left_behind


@pytest.mark.slow
def test_a_server_that_allows_one_session_a_connection() -> None:
    with running_board() as board:
        board.stop()
        board.settings.append("MaxSessions 1")
        board.start()
        with SshDevice(board.name).open() as session:
            session.load("good", doubling_tflite())
            assert session.sample("good", warm=0, runs=1).wall_ms > 0
        board.cut()

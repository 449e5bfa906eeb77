"""A board over ssh, against a real server on the loopback."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ssh_server import Board, needs_sshd, running_board, wait_for
from tiny_networks import doubling_tflite

from nasfit.devices import ssh_provision
from nasfit.devices.checking import check_device
from nasfit.devices.ssh import SshDevice
from nasfit.devices.ssh_address import parse_address
from nasfit.devices.ssh_connection import connect
from nasfit.devices.ssh_diagnosis import diagnose
from nasfit.errors import DeviceError, DeviceGone, UnknownNameError, UsageError

pytestmark = needs_sshd
IMAGE_BCHW = np.random.default_rng(3).standard_normal((1, 3, 8, 8), dtype=np.float32)


@pytest.fixture(scope="module")
def one_board() -> Iterator[Board]:
    with running_board() as running:
        yield running


@pytest.fixture
def board(one_board: Board) -> Board:
    one_board.prepare()
    return one_board


def device_of(board: Board) -> SshDevice:
    return SshDevice(board.name, timeout_s=10)


def folders(board: Board) -> list[Path]:
    return sorted((board.home / ".cache" / "nasfit").glob("*"))


def test_keeps_the_contract(board: Board) -> None:
    check_device(device_of(board), doubling_tflite(), IMAGE_BCHW, 2 * IMAGE_BCHW)


def test_is_the_same_at_every_connection_and_sends_nothing_again(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    first = device_of(board).describe()
    monkeypatch.setattr(ssh_provision, "_send", lambda *_: pytest.fail("sent again"))
    again = device_of(board).describe()
    assert first.device == again.device
    assert first.device.startswith("ssh: ") and first.device.endswith(f", host {os.uname().nodename}")
    assert board.address not in first.device and str(board.port) not in first.device
    assert first.engine.startswith("litert ")


def test_what_is_put_on_the_board_is_private_and_goes_again(board: Board) -> None:
    device = SshDevice(board.name, engine="onnxruntime")  # which would write to the user's cache
    device_of(board).wipe()
    device.describe()
    (folder,) = folders(board)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert not (folder / "site").exists()  # the board's own Python has the engine
    assert {path.relative_to(board.home).parts[:2] for path in board.home.rglob("*")} == {
        (".cache",),
        (".cache", "nasfit"),
    }
    assert device.wipe() == [str(folder)]
    assert not folders(board)


def test_nothing_is_left_running_nor_here_nor_there(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = board.root / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with device_of(board).open() as session:
        session.load("good", doubling_tflite())
        assert board.workers()
        (private,) = temporary.glob("nasfit-*")
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert [path.name for path in private.iterdir()] == ["m"]
    wait_for(lambda: not board.workers())
    assert not list(temporary.iterdir())


def test_the_connection_ends_with_the_process_that_made_it(board: Board) -> None:
    """Also where that is killed and can close nothing."""
    program = (
        "import os, signal, sys\nfrom nasfit.devices.ssh import SshDevice\n"
        "with SshDevice(sys.argv[1]).open():\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "TMPDIR": str(board.root)}  # an empty folder is all that it leaves here
    done = subprocess.run([sys.executable, "-c", program, board.name], env=environment, timeout=60)
    assert done.returncode < 0
    wait_for(lambda: not board.workers())
    wait_for(lambda: not [path for path in Path("/proc").glob("[0-9]*/cmdline") if of_client(path, board)])


def of_client(path: Path, board: Board) -> bool:
    try:
        words = path.read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].endswith(b"ssh") and str(board.port).encode() in words


def test_a_noisy_login_is_passed_over(board: Board) -> None:
    (board.home / ".bashrc").write_text("echo Welcome to the board; echo '{\"ok\": {}}'\n")
    with device_of(board).open() as session:
        session.load("good", doubling_tflite())
        assert np.array_equal(session.run("good", IMAGE_BCHW), 2 * IMAGE_BCHW)


def test_an_alias_of_the_configuration_is_followed(board: Board) -> None:
    host = (
        f"HostName {board.address}\nPort {board.port}\nUser {board.user}\nHostKeyAlias [{board.address}]:{board.port}"
    )
    board.configure("Host kitchen", host, "RemoteCommand false", "RequestTTY force", "ForwardAgent yes")
    with closing(connect(parse_address("ssh://kitchen"))) as connection:
        assert connection.run("echo $SSH_AUTH_SOCK here", timeout_s=10) == b"here\n"


def test_a_folder_that_is_gone_or_for_another_python_is_made_anew(board: Board) -> None:
    device = device_of(board)
    device.describe()
    (folder,) = folders(board)
    shutil.rmtree(folder)
    device.describe()
    assert folders(board) == [folder]
    (folder / "made-for").write_text("CPython (3, 7) riscv64 64\n")
    (folder / "worker.py").write_text("raise SystemExit('old')")
    device_of(board).describe()


def test_a_board_without_python(board: Board) -> None:
    board.script(board.bin / "sh", f'PATH={board.bin} exec /bin/sh "$@"')
    (board.bin / "python3").unlink()
    with pytest.raises(DeviceError, match=r"has no python3; the worker needs 3\.9 or newer"):
        device_of(board).describe()


def test_a_board_with_an_old_python(board: Board) -> None:
    board.script(board.bin / "sh", f'PATH={board.bin} exec /bin/sh "$@"')
    board.script(board.bin / "python3", "echo 3.7.3; exit 1")
    with pytest.raises(DeviceError, match=r"has Python 3\.7\.3 \(.*python3\); the worker needs 3\.9"):
        device_of(board).describe()


@pytest.mark.slow
def test_a_newer_python_beside_an_old_one_is_found(board: Board) -> None:
    board.script(board.bin / "sh", f'PATH={board.bin} exec /bin/sh "$@"')
    board.script(board.bin / "python3", "echo 3.7.3; exit 1")
    board.script(board.bin / "python3.13", "exit 1")
    board.script(board.bin / "python3.12", f'exec {sys.executable} "$@"')
    device_of(board).describe()


def test_wrong_key_and_wrong_user(board: Board) -> None:
    board.configure(key="stranger")
    with pytest.raises(DeviceError, match=r"accepts none of your keys for this user.*; .*ssh-copy-id -p") as caught:
        device_of(board).describe()
    assert not isinstance(caught.value, DeviceGone)
    board.configure()
    with pytest.raises(DeviceError, match="check the user's name"):
        SshDevice(f"ssh://nobody-here@{board.address}:{board.port}").describe()


def test_an_unknown_host_key_is_never_accepted(board: Board) -> None:
    known = board.root / "known_hosts"
    known.write_text("")
    board.configure("StrictHostKeyChecking no")
    with pytest.raises(DeviceError, match=r"host key of .* is not known here.*connect once by hand") as caught:
        device_of(board).describe()
    assert not isinstance(caught.value, DeviceGone)
    assert known.read_text() == ""


def test_a_changed_host_key_stops_it_loudly(board: Board) -> None:
    board.stop()
    board.start("other_host")
    with pytest.raises(DeviceError, match=r"HOST KEY OF .* HAS CHANGED.*ssh-keygen -R '\[127") as caught:
        device_of(board).describe()
    assert not isinstance(caught.value, DeviceGone)


def test_out_of_reach(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.stop()
    with pytest.raises(DeviceGone, match=r"refuses the connection.*; on the board"):
        device_of(board).describe()
    with pytest.raises(DeviceError, match=r"no host is called 'no-such-host.invalid' .*; check") as caught:
        SshDevice("ssh://no-such-host.invalid").describe()
    assert not isinstance(caught.value, DeviceGone)
    monkeypatch.setenv("PATH", str(board.root))
    with pytest.raises(DeviceError, match="no ssh client on this machine; install openssh-client"):
        device_of(board).describe()


def test_an_account_that_runs_no_commands(board: Board) -> None:
    (board.home / ".bashrc").write_text("echo This account is not available >&2; exit 1\n")
    with pytest.raises(DeviceError, match=r"may run no commands there \(exit code 1: This account is not available\)"):
        device_of(board).describe()


def test_wrong_arguments() -> None:
    for arguments in ({"keep_alive_s": 0}, {"timeout_s": 0}, {"threads": 0}):
        with pytest.raises(UsageError):
            SshDevice("ssh://pi@board", **arguments)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError):
        SshDevice("ssh://pi@board", engine="tensorrt")


def test_a_core_that_the_board_has_not(board: Board) -> None:
    with pytest.raises(UsageError, match=r"on ssh://.*core is 999"):
        SshDevice(board.name, core=999).describe()


def test_diagnosis(board: Board) -> None:
    checks = {check.what: check for check in diagnose(board.name)}
    needed = ("name", "connection", "host key", "key", "python", "disk", "engine")
    assert [what for what in needed if checks[what].ok] == list(needed)
    assert {"real-time priority", "cores", "governor", "throttling", "load"} <= set(checks)
    assert all(check.ok or check.fix for check in checks.values())


def test_diagnosis_ends_where_it_fails(board: Board) -> None:
    board.configure(key="stranger")
    assert [(check.what, check.ok) for check in diagnose(board.name)] == [
        ("name", True),
        ("connection", True),
        ("host key", True),
        ("key", False),
    ]
    board.known("other_host")
    last = diagnose(board.name)[-1]
    assert (last.what, last.ok) == ("host key", False) and "HAS CHANGED" in last.told and "ssh-keygen -R" in last.fix
    board.stop()
    assert [(check.what, check.ok) for check in diagnose(board.name)] == [("name", True), ("connection", False)]
    assert [check.what for check in diagnose("ssh://no-such-host.invalid") if not check.ok] == ["name"]

"""Addresses, the ssh configuration's hosts, and what the client's last words mean."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from nasfit.devices import ssh_board, worker
from nasfit.devices.ssh_address import SshAddress, parse_address, ssh_hosts
from nasfit.devices.ssh_errors import connection_error, failed_step
from nasfit.errors import DeviceGone, UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ssh://pi", SshAddress("pi")),
        ("ssh://pi@raspberrypi.local", SshAddress("raspberrypi.local", "pi")),
        ("ssh://a.b-c_d@10.0.0.1:2222", SshAddress("10.0.0.1", "a.b-c_d", 2222)),
        ("ssh://pi@[fe80::1%eth0]:22", SshAddress("fe80::1%eth0", "pi", 22)),
        ("ssh://[::1]", SshAddress("::1")),
    ],
)
def test_addresses(text: str, address: SshAddress) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "ssh://",
        "ssh://-oProxyCommand=id",
        "ssh://-l@host",
        "ssh://pi@-host",
        "ssh://pi@ho st",
        "ssh://pi@host;id",
        "ssh://pi@$(id)",
        "ssh://pi@host/folder",
        "ssh://pi@host:",
        "ssh://pi@host:0",
        "ssh://pi@host:65536",
        "ssh://pi@host:22x",
        "ssh://pi@fe80::1",
        "ssh://pi@[host]",
        "ssh://a@b@c",
        "ssh://pi@host\n",
        "pi@host",
        "SSH://host",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no address of a board; write ssh://\[user@\]host\[:port\].*for example"):
        parse_address(text)


def test_arguments_cannot_be_read_as_options() -> None:
    assert parse_address("ssh://pi@host:22").arguments == ["-p", "22", "--", "pi@host"]
    assert parse_address("ssh://[::1]").arguments == ["--", "::1"]


def test_hosts_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(
        "# Host commented\nHost pi kitchen *.local !bad # note\n  HostName 10.0.0.1\nhost=jetson\n"
        'HOST "quoted" pi\nHost *\nMatch host other\nHostName wrong\nHost -x "unclosed\n'
    )
    assert ssh_hosts(path) == ["pi", "kitchen", "jetson", "quoted"]
    assert ssh_hosts(tmp_path / "none") == []
    assert ssh_hosts(tmp_path) == []


@pytest.mark.parametrize(
    ("said", "gone", "step", "holds"),
    [
        ("ssh: connect to host b port 22: No route to host", True, "connection", "does not answer"),
        ("ssh: connect to host b port 22: Connection timed out", True, "connection", "does not answer"),
        ("ssh: connect to host b port 22: Connection refused", True, "connection", "refuses"),
        ("kex_exchange_identification: read: Connection reset by peer", True, "connection", "was cut"),
        ("Timeout, server b not responding.", True, "connection", "does not answer"),
        ("Connection to b closed by remote host.", True, "connection", "was cut"),
        ("ssh: Could not resolve hostname b: Name or service not known", False, "connection", "no host is called 'b'"),
        ("pi@b: Permission denied (publickey,password).", False, "key", "ssh-copy-id -p 2222 pi@b"),
        ("Received disconnect: Too many authentication failures", False, "key", "IdentitiesOnly"),
        ("No ED25519 host key is known for b\nHost key verification failed.", False, "host key", "is not known here"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            False,
            "host key",
            "HAS",
        ),
        ("/home/u/.ssh/config: line 3: Bad configuration option: x", False, "connection", "configuration"),
        ("", True, "connection", "is gone"),
    ],
)
def test_last_words(said: str, gone: bool, step: str, holds: str) -> None:
    error = connection_error(SshAddress("b", "pi", 2222), said)
    assert isinstance(error, DeviceGone) is gone
    assert holds in str(error) and "; " in str(error)
    assert failed_step(error) == step


def test_a_name_that_was_found_before_is_not_misspelt() -> None:
    said = "ssh: Could not resolve hostname b: Temporary failure in name resolution"
    assert isinstance(connection_error(SshAddress("b"), said, reached_before=True), DeviceGone)
    assert not isinstance(connection_error(SshAddress("b"), said), DeviceGone)


def test_what_runs_on_the_board_is_written_for_old_pythons() -> None:
    folder = Path(worker.__file__).parent
    for path in (Path(ssh_board.__file__), *(folder / name for name in worker.FILES)):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        imported = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert "nasfit" not in imported or path.name == "worker.py", path

"""A real ssh server on the loopback for one test, with its own keys, and an `ssh` that knows it alone."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SSH = shutil.which("ssh")
needs_sshd = pytest.mark.skipif(
    SSHD is None or SSH is None or not Path("/proc").is_dir(), reason="no sshd here (package openssh-server)"
)


SETTINGS = (
    "StrictModes no",
    "UsePAM no",
    "UseDNS no",
    "PermitRootLogin yes",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
)


class Board:
    """The server and the account behind it.

    root: for its files. home: the home directory of the account there. bin: first on the path of the account there.
    client: first on the path of the test. settings: of the server. prefix: of its command line, such as a network
    namespace.
    """

    def __init__(self, root: Path, *, address: str = "127.0.0.1", prefix: tuple[str, ...] = ()) -> None:
        self.root, self.address = root, address
        self.prefix, self.settings = list(prefix), [*SETTINGS]
        self.home, self.bin, self.client = root / "home", root / "bin", root / "client"
        for directory in (self.home, self.bin, self.client):
            directory.mkdir()
        self.port = free_port()
        self.user = getpass.getuser()
        for name in ("host", "other_host", "user", "stranger"):
            key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)]
            subprocess.run(key, check=True)
        (root / "authorized_keys").write_bytes((root / "user.pub").read_bytes())
        self._server: subprocess.Popen[bytes] | None = None
        self._host_key = ""
        self.prepare()

    @property
    def name(self) -> str:
        """The address as users write it."""
        return f"ssh://{self.user}@{self.address}:{self.port}"

    def prepare(self) -> None:
        """Everything as it should be: server, keys, configuration, commands there; the home directory is left alone."""
        for path in self.bin.iterdir():
            path.unlink()
        self.script(self.bin / "python3", f'exec {sys.executable} "$@"')
        (self.home / ".bashrc").unlink(missing_ok=True)
        self.known("host")
        self.configure()
        if self._host_key != "host":
            self.stop()
            self.start()

    def script(self, path: Path, line: str) -> None:
        """An executable shell script."""
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def known(self, key: str, port: int | None = None) -> None:
        """Let the client know this key as the host's."""
        text = (self.root / f"{key}.pub").read_text()
        (self.root / "known_hosts").write_text(f"[{self.address}]:{port or self.port} {text}")

    def configure(self, *lines: str, key: str = "user") -> None:
        """The client's configuration; lines: further ones, which come first."""
        config = self.root / "config"
        own = [
            f"IdentityFile {self.root / key}",
            "IdentitiesOnly yes",
            "IdentityAgent none",
            f"UserKnownHostsFile {self.root / 'known_hosts'}",
            "GlobalKnownHostsFile none",
        ]
        config.write_text("\n".join([*lines, "Host *", *own]) + "\n")
        self.script(self.client / "ssh", f'exec {SSH} -F {config} "$@"')

    def start(self, host_key: str = "host") -> None:
        """Start the server."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        settings = [
            f"Port {self.port}",
            f"ListenAddress {self.address}",
            f"HostKey {self.root / host_key}",
            f"AuthorizedKeysFile {self.root / 'authorized_keys'}",
            f"PidFile {self.root / 'pid'}",
            f"SetEnv HOME={self.home} PATH={self.bin}:/usr/bin:/bin",
            *self.settings,
        ]
        path = self.root / "sshd_config"
        path.write_text("\n".join(settings) + "\n")
        command = [*self.prefix, str(SSHD), "-D", "-e", "-f", str(path)]
        self._host_key = host_key
        self._server = subprocess.Popen(command, stderr=(self.root / "log").open("ab"))
        deadline = time.monotonic() + 10
        while "Server listening" not in (self.root / "log").read_text(errors="replace"):
            assert self._server.poll() is None and time.monotonic() < deadline, (self.root / "log").read_text()
            time.sleep(0.01)

    def cut(self) -> None:
        """End every connection at once, as a reset line does; the server goes on."""
        assert self._server is not None
        for pid in children(self._server.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End the server and its connections."""
        if self._server is not None:
            self.cut()
            self._server.kill()
            self._server.wait()
            self._server, self._host_key = None, ""
            (self.root / "log").unlink()

    def workers(self) -> list[int]:
        """Processes that run the worker for this board."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (path / "cmdline").read_bytes().split(b"\0")
                place = (path / "cwd").readlink()
                if b"worker.py" in words and self.home in place.parents and b"python" in words[0]:
                    found.append(int(path.name))
        return found


@contextmanager
def running_board(address: str = "127.0.0.1", prefix: tuple[str, ...] = ()) -> Iterator[Board]:
    """A board whose server runs; its client comes first on the path."""
    monkeypatch = pytest.MonkeyPatch()
    root = Path(tempfile.mkdtemp(prefix="board-"))
    board = Board(root, address=address, prefix=prefix)
    monkeypatch.setenv("PATH", f"{board.client}:{os.environ['PATH']}")
    try:
        yield board
    finally:
        for pid in board.workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        board.stop()
        shutil.rmtree(root, ignore_errors=True)
        monkeypatch.undo()


class Proxy:
    """Carries connections to a port, slower or not at all. bytes_s: in each direction, None for all it can."""

    def __init__(self, port: int, *, bytes_s: float | None = None) -> None:
        self._target, self._bytes_s = port, bytes_s
        self.flows = threading.Event()
        self.flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        self.flows.set()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                # Small buffers: what a slow line holds is not much.
                near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 13):
                self.flows.wait()
                if self._bytes_s:
                    time.sleep(len(piece) / self._bytes_s)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)


def children(pid: int) -> list[int]:
    """All processes below this one that still carry its connections: the server's own, not what they started."""
    found = []
    with suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            name = Path(f"/proc/{child}/comm").read_text().strip()
            if name.startswith("sshd"):
                found += [*children(child), child]
    return found


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)

"""One connection to a board: the system's ssh client, multiplexed, so that every command shares it.

The user's configuration, agent, jump hosts and known_hosts apply; what would ask, forward or accept by itself is off.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from nasfit.devices.ssh_address import SshAddress
from nasfit.devices.ssh_errors import connection_error
from nasfit.errors import DeviceError, DeviceGone

CONNECT_TIMEOUT_S = 10
LOGIN_TIMEOUT_S = 30.0
KEEP_ALIVE_S = 5
# A cut line is noticed after this many times KEEP_ALIVE_S: one more than the unanswered questions ssh allows.
KEEP_ALIVE_TIMES = 3
LOST = 255
# A socket's path holds 104 bytes on some systems, and ssh adds 17 while it makes it.
LONGEST_SOCKET = 80
# Ctrl-C reaches the whole foreground group and would cut the line before the step at hand is done; a session of its own
# also leaves ssh no terminal to ask on.
_APART = (sys.executable, "-ISc", "import os, sys; os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])")


class RemoteFailure(DeviceError):
    """A command on the board ended with an exit code other than 0; `code`, `said`: its standard error."""

    def __init__(self, address: SshAddress, code: int, said: str) -> None:
        super().__init__(f"a command on {address} ended with exit code {code}: {said[-300:] or 'it said nothing'}")
        self.code = code
        self.said = said


class Connection:
    """An open connection; use `connect`. From one thread."""

    def __init__(self, address: SshAddress, *, keep_alive_s: int, reached_before: bool) -> None:
        self.address = address
        self._patience_s = keep_alive_s * KEEP_ALIVE_TIMES
        self._reached = reached_before
        self._lost = False
        self._directory = _private_directory()
        self._options = _options(self._directory / "m", keep_alive_s)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the connection)
        mark = f"nasfit-{secrets.token_hex(8)}"
        # `cat` ends with its input, so that the connection ends with this process, however that ends.
        arguments = [*_APART, *self._ssh("yes"), *address.arguments, f"echo {mark}; exec cat"]
        self._master = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, **client_environment()},
            bufsize=0,
        )
        try:
            self._await(mark, CONNECT_TIMEOUT_S + LOGIN_TIMEOUT_S)
        except BaseException:
            self.close()
            raise
        self._reached = True

    @property
    def broken(self) -> bool:
        """Whether it is of no use any more."""
        return self._lost or self._master.poll() is not None

    def command(self, remote: str) -> list[str]:
        """The local command that runs `remote` in the shell of the board's user."""
        return [*_APART, *self._ssh("no"), *self.address.arguments, remote]

    def run(self, remote: str, content: bytes = b"", *, timeout_s: float) -> bytes:
        """Standard output of a command on the board that is given `content`.

        Raises RemoteFailure for another exit code than 0, DeviceGone for a lost connection and DeviceError for a
        command that does not end in time.
        """
        try:
            done = subprocess.run(
                self.command(remote),
                input=content,
                capture_output=True,
                timeout=timeout_s,
                env={**os.environ, **client_environment()},
            )
        except subprocess.TimeoutExpired as error:
            if not self.answers():
                raise self.lost("no answer to a sign of life") from error
            raise DeviceError(f"{self.address} did not finish a step within {timeout_s:g} s; try again") from error
        said = done.stderr.decode(errors="replace").strip()
        if done.returncode == LOST or done.returncode < 0:
            raise self.lost(said)
        if done.returncode:
            raise RemoteFailure(self.address, done.returncode, said)
        return done.stdout

    def answers(self) -> bool:
        """Whether the board returns a sign of life before the connection would count as cut."""
        sign = f"alive-{secrets.token_hex(8)}"
        try:
            assert self._master.stdin is not None
            self._master.stdin.write(sign.encode() + b"\n")
            self._await(sign, self._patience_s)
        except (OSError, ValueError, DeviceError):
            return False
        return True

    def lost(self, said: str) -> DeviceError:
        """The error for a connection that broke; said: what the client of one command told, if anything."""
        self._lost = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            # The client that holds the connection knows the reason, a moment later than those that share it.
            self._master.wait(timeout=0.2)
        error = connection_error(self.address, self._said() or said, reached_before=self._reached)
        return error if isinstance(error, DeviceGone) else DeviceGone(str(error))

    def close(self) -> None:
        """End the connection and whatever runs over it; safe to call twice."""
        assert self._master.stdin is not None and self._master.stdout is not None
        with contextlib.suppress(OSError):
            self._master.stdin.close()
        self._master.terminate()
        try:
            self._master.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._master.kill()
            self._master.wait()
        self._master.stdout.close()
        self._log.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _ssh(self, master: str) -> list[str]:
        return ["ssh", "-T", "-o", f"ControlMaster={master}", *self._options]

    def _await(self, line: str, timeout_s: float) -> None:
        """Read up to this line; what a login script prints before it is passed over."""
        assert self._master.stdout is not None
        if not _read_to(self._master.stdout, line.encode() + b"\n", time.monotonic() + timeout_s):
            if self._master.poll() is None and not _ends(self._master):
                raise DeviceGone(f"{self.address} did not answer within {timeout_s:g} s")
            raise self._refusal()

    def _refusal(self) -> DeviceError:
        """Why the connection did not come to be."""
        code, said = self._master.wait(), self._said()
        if code in (LOST, -9, -15):
            return connection_error(self.address, said, reached_before=self._reached)
        if code == 127:
            return DeviceError(f"there is no ssh client on this machine ({said[-200:]}); install openssh-client")
        return DeviceError(f"the user at {self.address} may run no commands there (exit code {code}: {said[-200:]})")

    def _said(self) -> str:
        if self._log.closed:
            return ""
        self._log.seek(0)
        return self._log.read().decode(errors="replace").strip()


def connect(address: SshAddress, *, keep_alive_s: int = KEEP_ALIVE_S, reached_before: bool = False) -> Connection:
    """An open connection, to be closed.

    keep_alive_s: a cut line is noticed after KEEP_ALIVE_TIMES of it, seconds. reached_before: whether this address was
    reached earlier. Raises DeviceGone where it may come back, DeviceError where the user has to do something.
    """
    if shutil.which("ssh") is None:
        raise DeviceError("there is no ssh client on this machine; install openssh-client")
    return Connection(address, keep_alive_s=keep_alive_s, reached_before=reached_before)


def client_environment() -> dict[str, str]:
    """What the ssh client is told besides this process's environment: English words, and no window that asks."""
    return {"LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}


def _options(socket: Path, keep_alive_s: int) -> list[str]:
    """Settings that the user's configuration cannot change: nothing asks, nothing is forwarded, nothing is accepted."""
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "ConnectTimeout": CONNECT_TIMEOUT_S,
        "ConnectionAttempts": 1,
        "ServerAliveInterval": keep_alive_s,
        "ServerAliveCountMax": KEEP_ALIVE_TIMES - 1,
        "ControlPath": socket,
        "ControlPersist": "no",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "LogLevel": "ERROR",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def _private_directory() -> Path:
    """For the socket of the connection: mode 0700, as mkdtemp makes it."""
    wanted = tempfile.gettempdir()
    # ssh replaces % and splits at spaces in the path of a socket.
    plain = re.fullmatch(r"[\w./-]+", wanted) and len(wanted) < LONGEST_SOCKET - len("/nasfit-12345678/m")
    place = wanted if plain else "/tmp"
    return Path(tempfile.mkdtemp(prefix="nasfit-", dir=place))


def _read_to(pipe: IO[bytes], line: bytes, deadline: float) -> bool:
    """Read up to a line; False at the end of the pipe or at the deadline."""
    got = b""
    while not got.endswith(line):
        if not select.select([pipe], [], [], max(deadline - time.monotonic(), 0.0))[0]:
            return False
        chunk = os.read(pipe.fileno(), 1 << 16)
        if not chunk:
            return False
        got = got[-len(line) :] + chunk
    return True


def _ends(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process whose output has ended ends as well."""
    try:
        process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        return False
    return True

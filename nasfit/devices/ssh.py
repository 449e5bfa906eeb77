"""A board over ssh as a device: the worker runs there, in a private folder, over one connection."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from nasfit.devices.device import Description, Resources
from nasfit.devices.engines import engine_named
from nasfit.devices.session import WorkerSession, WorkerSettings, greet
from nasfit.devices.ssh_address import parse_address
from nasfit.devices.ssh_connection import KEEP_ALIVE_S, LOST, Connection, client_environment, connect
from nasfit.devices.ssh_provision import NO_FOLDER, SLOWEST_BYTES_S, Board, ask_board, find_python, provision
from nasfit.devices.worker_process import WorkerDied, WorkerProcess, WorkerRefused, WorkerTimeout
from nasfit.errors import DeviceError, UsageError

LOGIN_TIMEOUT_S = 30.0


class SshDevice:
    """The board at `ssh://[user@]host[:port]`, where `host` may be an alias of the ssh configuration.

    See `open_device` for the arguments. keep_alive_s: seconds, 1 or more; a cut line is noticed within three times as
    long. Raises UsageError or UnknownNameError for a wrong argument. The board is first asked by the methods, each of
    which raises DeviceGone where it is out of reach and may come back, and DeviceError where the user has to do
    something. Identity: the processor and the board's own host name, so that two like boards are two devices.
    """

    on_this_machine = False

    def __init__(
        self,
        address: str,
        *,
        engine: str = "litert",
        core: int | None = None,
        realtime: bool = True,
        threads: int = 1,
        timeout_s: float = 30.0,
        keep_alive_s: int = KEEP_ALIVE_S,
    ) -> None:
        if keep_alive_s < 1:
            raise UsageError(f"keep_alive_s is {keep_alive_s!r}; it must be 1 or more")
        self.name = address
        self.settings = WorkerSettings(engine, core, realtime, threads, timeout_s)
        self.model_format = engine_named(engine).model_format
        self._address = parse_address(address)
        self._keep_alive_s = keep_alive_s
        self._reached = False
        self._connection: Connection | None = None
        self._board: Board | None = None
        self._users = 0
        # Of the workers started over the connection at hand, to end those that a cut leaves behind.
        self._marks: list[str] = []

    def describe(self) -> Description:
        """Asks a fresh engine process on the board: a second or two, and the first time until the engine is sent."""
        with self._in_use():
            process, description = self.start()
            process.close()
            return description

    @contextmanager
    def open(self) -> Iterator[WorkerSession]:
        """A session with an engine process of its own; after DeviceGone it may be used again and connects anew."""
        with self._in_use(), closing(WorkerSession(self.start, self.settings.timeout_s)) as session:
            yield session

    def resources(self, model_bytes: bytes) -> Resources:
        """See `Device.resources`."""
        with self.open() as session:
            return session.resources(model_bytes)

    def wipe(self) -> list[str]:
        """Remove everything that nasfit ever put on the board; the folders that were there."""
        with self._in_use():
            connection = self._connected()
            removed = ask_board(connection, find_python(connection)[0], {"do": "wipe"})["removed"]
            self._board = None
            return [str(path) for path in removed]

    def start(self) -> tuple[WorkerProcess, Description]:
        """A running engine process on the board and what it says of itself; to be used within `open`."""
        connection = self._connected()
        try:
            process, board = self._started(connection)
        except _FolderGone:  # removed since the last time
            self._board = None
            process, board = self._started(connection)
        description = greet(process, self.name, self.settings)
        identity = f"ssh{description.device.removeprefix(self.name)}, host {board.host}"
        return process, dataclasses.replace(description, device=identity)

    def _started(self, connection: Connection) -> tuple[WorkerProcess, Board]:
        if self._board is None:
            self._board = provision(connection, engine_named(self.settings.engine), kill=self._marks)
            self._marks.clear()
        process = _BoardProcess(connection, self._board)
        self._marks.append(process.mark)
        return process, self._board

    def _connected(self) -> Connection:
        """The connection, made anew where it broke."""
        if self._connection is not None and self._connection.broken:
            self._disconnect()
        if self._connection is None:
            self._connection = connect(self._address, keep_alive_s=self._keep_alive_s, reached_before=self._reached)
            self._reached = True
        return self._connection

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Keeps the connection for all who use it, one within the other, and closes it after the last."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is None:
            return
        if self._connection.broken:
            self._board = None  # it may come back as another
        else:
            self._marks.clear()  # the end of its input ends a worker
        self._connection.close()
        self._connection = None


class _FolderGone(DeviceError):
    """The worker's folder or its Python is no longer where it was."""


class _BoardProcess(WorkerProcess):
    """A worker on a board."""

    def __init__(self, connection: Connection, board: Board) -> None:
        self.mark = f"nasfit-{secrets.token_hex(8)}"
        self._connection, self._python = connection, board.python
        self._busy = False
        super().__init__(connection.command(board.command(self.mark)), client_environment(), ended=self._why)
        try:
            # What a login script prints comes before the mark.
            while self._line(LOGIN_TIMEOUT_S) != self.mark.encode():
                pass
        except WorkerTimeout as error:
            self.close()
            raise self._connection.lost(str(error)) from error
        except DeviceError:
            self.close()
            raise

    def ask(self, request: Mapping[str, object], timeout_s: float, content: bytes = b"") -> dict[str, Any]:
        """See `WorkerProcess.ask`; allows for a slow line, and blames no network for a line that is cut."""
        self._busy = True
        try:
            answer = super().ask(request, timeout_s + len(content) / SLOWEST_BYTES_S, content)
        except WorkerRefused:
            self._busy = False
            raise
        except WorkerTimeout as error:
            if not self._connection.answers():
                raise self._connection.lost(str(error)) from error
            raise
        self._busy = False
        return answer

    def close(self) -> None:
        """See `WorkerProcess.close`. A worker in the middle of a step would go on and disturb its successor."""
        if self._busy and not self._connection.broken:
            with contextlib.suppress(DeviceError):
                ask_board(self._connection, self._python, {"do": "kill", "marks": [self.mark]})
        self._busy = False
        super().close()

    def _why(self, code: int, said: str) -> DeviceError | None:
        """The error for an exit code of the client; 128 + n is a signal that ended the worker."""
        self._busy = False
        if code == LOST or code < 0:
            return self._connection.lost(said)
        if code == NO_FOLDER:
            return _FolderGone(f"the worker is gone from {self._connection.address}: {said}; try again")
        if code > 128:
            return WorkerDied(f"the engine's process ended with signal {code - 128}" + (f": {said}" if said else ""))
        return None

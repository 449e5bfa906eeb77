"""A real PostgreSQL for tests, where its programs are installed."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SYSTEM_USER = "postgres"  # initdb refuses to work for root


@dataclass(frozen=True)
class Server:
    """A PostgreSQL of the tests' own, on a socket in its directory."""

    programs: Path
    directory: Path
    user: str

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}@/postgres?host={self.directory}"

    def start(self) -> None:
        options = f"-k {self.directory} -c listen_addresses= -c fsync=off"
        self._call("pg_ctl", "-D", str(self.directory / "data"), "-o", options, "-w", "-l", self.log, "start")

    def stop(self) -> None:
        self._call("pg_ctl", "-D", str(self.directory / "data"), "-m", "immediate", "stop")

    def make(self) -> None:
        self._call("initdb", "-D", str(self.directory / "data"), "-A", "trust", "-U", self.user, "--no-sync")

    @property
    def log(self) -> str:
        return str(self.directory / "log")

    def _call(self, program: str, *words: str) -> None:
        user = SYSTEM_USER if os.geteuid() == 0 else None
        command = [str(self.programs / program), *words]
        subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, cwd=self.directory)


def _programs() -> Path | None:
    known = [shutil.which("initdb"), *Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return next((Path(found).parent for found in known if found), None)


def started() -> Iterator[Server]:
    """One for as long as the iterator is not asked again; skips the test where there is none."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    # A socket's path may have 107 characters, fewer than those of pytest's directories.
    with tempfile.TemporaryDirectory(prefix="nasfit-") as place:
        if os.geteuid() == 0:
            shutil.chown(place, SYSTEM_USER)
        server = Server(programs, Path(place), getpass.getuser())
        server.make()
        server.start()
        yield server
        server.stop()


def schema_of(tmp_path: Path) -> str:
    """A name of its own for every test: their studies have the same names."""
    return "t" + f"{tmp_path.parent.name}_{tmp_path.name}".lower().replace("-", "_")[-60:]

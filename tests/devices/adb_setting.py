"""The surroundings of the adb tests: a fake server found through the environment, a benchmark_model to push."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from adb_phone import ARM64_BINARY, FakePhone
from adb_server import FakeServer, running_server


def set_surroundings(folder: Path, patch: pytest.MonkeyPatch, port: int) -> None:
    binary = folder / "benchmark_model"
    binary.write_bytes(ARM64_BINARY)
    patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    patch.setenv("NASFIT_BENCHMARK_MODEL", str(binary))
    patch.setenv("HOME", str(folder))
    # Where the fake server does not answer, no real one is to be started instead.
    patch.setenv("ADBUTILS_ADB_PATH", "/bin/false")
    patch.delenv("ANDROID_SERIAL", raising=False)
    patch.delenv("ANDROID_ADB_SERVER_HOST", raising=False)


@contextmanager
def phones_connected(folder: Path, patch: pytest.MonkeyPatch, *serials: str) -> Iterator[tuple[FakeServer, FakePhone]]:
    """A server with these phones (one without a word), and the first of them."""
    phones = [FakePhone(folder / f"phone-{serial}", serial) for serial in serials or ("SECRET1234567",)]
    with running_server(*phones) as server:
        set_surroundings(folder, patch, server.port)
        yield server, phones[0]

"""An engine for a board that has none: which wheels fit it, and the way there."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ssh_server import Board, needs_sshd, running_board
from tiny_networks import doubling_tflite

from nasfit.devices.engines import engine_named
from nasfit.devices.ssh import SshDevice
from nasfit.devices.ssh_diagnosis import diagnose
from nasfit.devices.ssh_provision import platform_of
from nasfit.devices.ssh_wheels import Platform, distributions_for, fetch_wheels, modules_of
from nasfit.errors import DeviceError

LITERT, ONNX = engine_named("litert"), engine_named("onnxruntime")
BOOKWORM = Platform((3, 11, 2), "aarch64", (2, 36))
# A survey of a Raspberry Pi with Raspberry Pi OS 12.
SURVEY = {"implementation": "CPython", "machine": "aarch64", "bits": 64, "libc": ["glibc", "2.36"]}
IMAGE_BCHW = np.random.default_rng(3).standard_normal((1, 3, 8, 8), dtype=np.float32)


def test_tags_go_from_the_boards_own_c_library_down() -> None:
    tags = BOOKWORM.tags
    assert tags[0] == "manylinux_2_36_aarch64"
    assert {"manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"} <= set(tags)
    assert "manylinux_2_37_aarch64" not in tags and "manylinux_2_16_aarch64" not in tags
    assert "manylinux_2_5_x86_64" in Platform((3, 11, 2), "x86_64", (2, 36)).tags


def test_the_userland_counts_and_not_the_kernel() -> None:
    assert platform_of(SURVEY, (3, 11, 2)) == BOOKWORM
    assert platform_of({**SURVEY, "bits": 32}, (3, 11, 2)).machine == "armv7l"
    assert platform_of({**SURVEY, "libc": ["", ""]}, (3, 11, 2)).glibc is None
    with pytest.raises(DeviceError, match="is PyPy; the engines need CPython"):
        platform_of({**SURVEY, "implementation": "PyPy"}, (3, 11, 2))


def test_this_machines_version_is_tried_first() -> None:
    version = importlib.metadata.version("ai-edge-litert")
    assert distributions_for(LITERT, BOOKWORM) == [["numpy"], [f"ai-edge-litert=={version}", "ai-edge-litert"]]
    assert distributions_for(LITERT, Platform((3, 9, 2), "armv7l", (2, 31))) == [["tflite-runtime"]]


def test_extras_are_brought_like_the_engines_of_the_core() -> None:
    ncnn = engine_named("ncnn")
    assert modules_of(ncnn) == ["ncnn"]
    assert distributions_for(ncnn, BOOKWORM) == [["numpy"], [*_here("ncnn"), "ncnn"]]
    assert distributions_for(ncnn, Platform((3, 11, 2), "armv7l", (2, 36))) == [["ncnn"]]
    assert modules_of(engine_named("executorch")) == ["executorch.runtime"]


def _here(distribution: str) -> list[str]:
    try:
        return [f"{distribution}=={importlib.metadata.version(distribution)}"]
    except importlib.metadata.PackageNotFoundError:
        return []


@pytest.mark.parametrize(
    ("engine", "platform", "text"),
    [
        (LITERT, Platform((3, 12, 0), "armv7l", (2, 39)), "tflite-runtime has wheels for Python 3.7 to 3.11"),
        (ONNX, Platform((3, 11, 2), "armv7l", (2, 36)), "64-bit system on the board, or use --engine litert"),
        (LITERT, Platform((3, 11, 2), "aarch64", None), "the engines' wheels need glibc"),
    ],
)
def test_no_wheel(engine: Any, platform: Platform, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DeviceError) as caught:
        fetch_wheels(engine, platform, tmp_path)
    assert f"no wheel of {engine.name} fits the board ({platform}): " in str(caught.value)
    assert text in str(caught.value)


def test_an_engine_that_needs_a_great_deal_is_not_brought(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"too large to be brought there; install it on the board: .* executorch"):
        fetch_wheels(engine_named("executorch"), BOOKWORM, tmp_path)


def test_no_network_is_told_from_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(
        DeviceError, match=r"the board has no litert, and it cannot be fetched.*check this machine's net"
    ):
        fetch_wheels(LITERT, BOOKWORM, tmp_path)


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of numpy and LiteRT as installed here: all of their files, without the folders the others are in."""
    directory = tmp_path_factory.mktemp("wheels")
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    libc = "_".join(os.confstr("CS_GNU_LIBC_VERSION").split()[1].split("."))
    for name in ("numpy", "ai-edge-litert"):
        found = importlib.metadata.distribution(name)
        file = f"{name.replace('-', '_')}-{found.version}-{tag}-{tag}-manylinux_{libc}_{os.uname().machine}.whl"
        with zipfile.ZipFile(directory / file, "w") as wheel:
            for path in found.files or []:
                if ".." not in path.parts and path.suffix != ".pyc" and "tests" not in path.parts:
                    wheel.write(str(path.locate()), str(path))
    return directory


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has nothing but itself."""
    directory = tmp_path_factory.mktemp("bare") / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    return directory / "bin" / "python3"


@pytest.fixture
def bare_board(bare_python: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    with running_board() as board:
        board.script(board.bin / "python3", f'exec {bare_python} "$@"')
        yield board


@needs_sshd
def test_the_engine_is_brought_to_a_board_that_has_none(bare_board: Board) -> None:
    device = SshDevice(bare_board.name)
    with device.open() as session:
        session.load("good", doubling_tflite())
        assert np.array_equal(session.run("good", IMAGE_BCHW), 2 * IMAGE_BCHW)
        assert session.description.engine.startswith(f"litert {importlib.metadata.version('ai-edge-litert')}")
    (folder,) = (bare_board.home / ".cache" / "nasfit").iterdir()
    assert {path.name for path in folder.iterdir()} >= {"site", "worker.py"}
    assert not list(folder.glob("**/*.whl"))
    device.wipe()
    assert not list(bare_board.home.rglob("nasfit"))


@pytest.fixture
def another_user() -> Iterator[str]:
    """An account of its own, without a home directory."""
    name = f"nasfit{os.getpid()}"
    if os.getuid() != 0 or shutil.which("useradd") is None:
        pytest.skip("making an account takes root")
    if subprocess.run(["useradd", "--no-create-home", "--shell", "/bin/sh", name], capture_output=True).returncode:
        pytest.skip("accounts cannot be made here")
    subprocess.run(["passwd", "--delete", name], capture_output=True, check=True)  # else the server finds it locked
    yield name
    subprocess.run(["userdel", name], capture_output=True)


@needs_sshd
@pytest.mark.slow
def test_a_board_with_an_ordinary_user(bare_board: Board, another_user: str) -> None:
    python = shutil.which(f"python3.{sys.version_info[1]}", path="/usr/bin")
    if python is None:
        pytest.skip("no Python of the system that the wheels fit")
    for path in (bare_board.root, bare_board.home, bare_board.bin):
        path.chmod(0o755)
    (bare_board.root / "authorized_keys").chmod(0o644)
    shutil.chown(bare_board.home, another_user)
    bare_board.script(bare_board.bin / "python3", f'exec {python} "$@"')
    bare_board.user = another_user
    with SshDevice(bare_board.name).open() as session:
        session.load("good", doubling_tflite())
        assert np.array_equal(session.run("good", IMAGE_BCHW), 2 * IMAGE_BCHW)
        assert not session.description.realtime  # nobody allowed it
    (check,) = [check for check in diagnose(bare_board.name) if check.what == "real-time priority"]
    assert not check.ok and f"'{another_user} - rtprio 1'" in check.fix
    assert (bare_board.home / ".cache").owner() == another_user


@needs_sshd
@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small disk takes root")
def test_a_disk_that_is_too_small(bare_board: Board) -> None:
    with ExitStack() as stack:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(bare_board.home)]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
        stack.callback(subprocess.run, ["umount", "-l", str(bare_board.home)], check=True)
        with pytest.raises(DeviceError, match=r"the disk of ssh://.* is too full: \d+ MB are free, about \d+ MB are"):
            SshDevice(bare_board.name).describe()
        assert not list(bare_board.home.rglob("*.py"))


@needs_sshd
@pytest.mark.slow
def test_an_engine_that_does_not_load_there(
    bare_board: Board, wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "ai_edge_litert"):
        (path,) = wheelhouse.glob(f"{name}-*")
        folder = "-".join(path.name.split("-")[:2]) + ".dist-info"
        with zipfile.ZipFile(tmp_path / path.name, "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "")
            wheel.writestr(f"{name}/interpreter.py", "import os; os.kill(os.getpid(), 4)")
            wheel.writestr(
                f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {folder.split('-')[1][:-5]}"
            )
            wheel.writestr(f"{folder}/WHEEL", "Wheel-Version: 1.0")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DeviceError, match=r"engine's files are on ssh://.* but do not load there: signal 4"):
        SshDevice(bare_board.name).describe()
    assert not list((bare_board.home / ".cache" / "nasfit").iterdir())

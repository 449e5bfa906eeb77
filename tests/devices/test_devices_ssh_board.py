"""What runs on the board before there is anything of nasfit, run here with a home directory of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nasfit.devices import ssh_board

TEXT = b"print('worker')\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".cache" / "nasfit"


def receive(folder: str, content: bytes = TEXT, name: str = "worker.py", modules: tuple[str, ...] = ()) -> None:
    ssh_board.receive(folder, [[name, len(content)]], list(modules), io.BytesIO(content))


def ask(home: Path, request: dict[str, Any], content: bytes = b"", limit: str = "unlimited") -> dict[str, Any]:
    """One request, as it is made over the line."""
    program, line = Path(ssh_board.__file__).read_bytes(), json.dumps({**request, "mark": "mark "}).encode() + b"\n"
    boot = "import sys; s = sys.stdin.buffer; exec(s.read(int(s.readline())))"
    done = subprocess.run(
        ["sh", "-c", f'ulimit -f {limit}; exec "$@"', "sh", sys.executable, "-I", "-c", boot],
        input=b"%d\n" % len(program) + program + line + content,
        capture_output=True,
        env={**os.environ, "HOME": str(home.parent.parent)},
        timeout=60,
    )
    assert done.stdout.startswith(b"mark "), done.stderr
    reply: dict[str, Any] = json.loads(done.stdout.removeprefix(b"mark "))
    return reply


def test_a_folder_is_there_whole_or_not_at_all(home: Path) -> None:
    with pytest.raises(EOFError):
        ssh_board.receive("board-1", [["worker.py", len(TEXT) + 1]], [], io.BytesIO(TEXT))
    assert list(home.iterdir()) == []
    receive("board-1")
    assert [path.name for path in home.iterdir()] == ["board-1"]
    assert (home / "board-1" / "worker.py").read_bytes() == TEXT


def test_the_faster_of_two_wins(home: Path) -> None:
    receive("board-1")
    receive("board-1", b"another")
    assert (home / "board-1" / "worker.py").read_bytes() == TEXT
    assert [path.name for path in home.iterdir()] == ["board-1"]


def test_names_stay_in_the_folder(home: Path) -> None:
    receive("board-1", name="../../escaped.py")
    assert (home / "board-1" / "escaped.py").is_file()
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("../../outside.py", "")
        file.writestr("engine.py", "")
    receive("board-2", wheel.getvalue(), "engine-1-py3-none-any.whl", ("engine",))
    assert [path.parent for path in home.parent.rglob("outside.py")] == [home / "board-2" / "site"]
    assert (home / "board-2" / "site" / "engine.py").is_file()


def test_leftovers_are_removed_when_they_are_old(home: Path) -> None:
    for name in ("new-old", "new-fresh"):
        (home / name).mkdir(parents=True)
    long_ago = time.time() - 2 * ssh_board.STALE_S
    os.utime(home / "new-old", (long_ago, long_ago))
    receive("board-1")
    assert sorted(path.name for path in home.iterdir()) == ["board-1", "new-fresh"]


def test_wipe_takes_only_its_own(home: Path) -> None:
    receive("board-1")
    (home / "kept").mkdir()
    assert ssh_board.wipe() == {"removed": [str(home / "board-1")]}
    assert [path.name for path in home.iterdir()] == ["kept"]
    (home / "kept").rmdir()
    assert ssh_board.wipe() == {"removed": []}
    assert not home.exists()
    assert ssh_board.wipe() == {"removed": []}


def test_only_workers_with_the_mark_are_ended(home: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    ours, other = (subprocess.Popen([*sleep, mark]) for mark in ("nasfit-1", "nasfit-11"))
    try:
        ssh_board.end(["nasfit-1", "nasfit-2"])
        assert ours.wait(timeout=10) == -9
        assert other.poll() is None
        ssh_board.end([])
        assert other.poll() is None
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_survey_and_its_answer_over_the_line(home: Path) -> None:
    told = ask(home, {"do": "survey", "folder": "board-1", "modules": ["no_such_engine", "json"], "kill": []})["ok"]
    assert told["own"] == "json" and not told["there"]
    assert told["path"] == str(home / "board-1") and told["python"] == list(sys.version_info[:3])
    assert told["libc"][0] == "glibc" and told["free_mb"] > 0
    assert not home.exists()


def test_a_full_disk_is_told_and_nothing_is_left(home: Path) -> None:
    content = bytes(3_000_000)  # more than a pipe holds
    request = {"do": "receive", "folder": "board-1", "files": [["worker.py", len(content)]], "modules": []}
    reply = ask(home, request, content, limit="100")
    assert reply["kind"] == "full" and "large" in reply["error"].lower()
    assert list(home.iterdir()) == []


def test_health(home: Path) -> None:
    told = ask(home, {"do": "health"})["ok"]
    assert told["cores"] >= 1 and isinstance(told["realtime"], bool) and told["user"]

"""`nasfit dashboard`: says where it is, serves until Ctrl-C, ends quietly."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from nasfit.study import Study

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    Study.create(tmp_path / "study", {"data": "photos", "target_ms": 5.0}).close()
    return tmp_path / "study"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_its_address_serves_and_ends_with_ctrl_c(
    run: Run, study: Path, ending: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    told = threading.Event()
    pages: list[int] = []

    class Output:
        """What a script would read."""

        def write(self, text: str) -> int:
            seen.append(text)
            if "\n" in text:
                told.set()
            return len(text)

        def flush(self) -> None: ...

    def look() -> None:
        told.wait(60)
        try:
            with urlopen(json.loads("".join(seen))["url"], timeout=30) as page:
                pages.append(page.status)
        finally:
            os.kill(os.getpid(), ending)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "stdout", Output())
    asker = threading.Thread(target=look)
    asker.start()
    code, _, err = run("dashboard", study, "--port", 0, "--json")
    asker.join()
    assert (code, err, pages) == (0, "", [200])
    assert json.loads("".join(seen))["study"] == str(study)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_port_that_is_taken_is_one_message(run: Run, study: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, err = run("dashboard", study, "--port", taken.getsockname()[1])
    assert code == 2 and "cannot be had" in err and "--port" in err and err.count("\n") == 1


@pytest.mark.parametrize(("words", "told"), [(("nowhere",), "holds no study"), ((".", "--port", "70000"), "65535")])
def test_wrong_uses_are_one_message(run: Run, words: tuple[str, ...], told: str) -> None:
    code, _, err = run("dashboard", *words)
    assert code == 2 and told in err and "Traceback" not in err

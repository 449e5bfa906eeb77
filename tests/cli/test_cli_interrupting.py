"""Ctrl-C once ends in order and says so, twice at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

# Work, and an end of it that takes a minute unless it is cut short.
SLOW = """
import time
from nasfit.cli.interrupting import interruptible
with interruptible("trial"):
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        time.sleep({end_s})
"""


def started(end_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SLOW.format(end_s=end_s), "search", "my photos"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_first_ends_in_order_and_tells_how_to_go_on(how: signal.Signals) -> None:
    process = started(0.1)
    process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err.index("stopping in order") < err.index("stopped; every finished trial is kept")
    assert "-c search 'my photos'" in err and "Traceback" not in err


def test_the_second_ends_at_once() -> None:
    process = started(60)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said = process.stderr.readline() + process.stderr.readline()
    assert "once more, and it ends at once" in said and process.poll() is None
    since = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and time.monotonic() - since < 20
    assert "every finished trial is kept" in err and "search 'my photos'" in err and "Traceback" not in err

"""The live view: a bar only where one has a place, the news everywhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nasfit.cli.live import draws_bar
from nasfit.cli.progress import View
from nasfit.search import TrialFinished
from nasfit.study import Trial, TrialState


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def finished(number: int, accuracy: float | None, left_s: float, best: Trial | None = None) -> TrialFinished:
    state = TrialState.FAILED if accuracy is None else TrialState.COMPLETE
    trial = Trial(number, (number,), "net", 0, state=state, accuracy=accuracy, latency_ms=0.25, reason="it broke")
    trial = trial if accuracy is None else Trial(**{**trial.__dict__, "seconds": {"train": 5.0}})
    return TrialFinished(trial, best or (trial if accuracy is not None else None), number + 1, left_s)


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize("name", ["CI", "FORCE_COLOR"])
def test_in_a_pipe_and_in_ci_there_are_plain_lines_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    with View(600.0) as view:
        for number, accuracy in enumerate((0.5, None, 0.4)):
            view.show(finished(number, accuracy, 200.0))
    out = capsys.readouterr().out
    assert "\x1b" not in out and "━" not in out
    lines = [line.partition("] ")[2] for line in out.splitlines()]
    assert lines[:2] == ["best so far: 50.00 % at 0.25 ms (trial 0)", "trial 1 failed: it broke"]


def test_a_bar_needs_a_terminal_that_nobody_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert draws_bar(Console(file=Terminal()))
    assert not draws_bar(Console(file=io.StringIO()))
    assert not draws_bar(Console(file=io.StringIO(), force_terminal=True))
    monkeypatch.setenv("TERM", "dumb")
    assert not draws_bar(Console(file=Terminal()))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", "true")
    assert not draws_bar(Console(file=Terminal()))


def test_the_bar_tells_best_trials_left_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    with View(600.0) as view:
        best = finished(0, 0.5, 290.0)
        view.show(best)
        view._planned_at -= 30.0
        for number in (1, 2):
            view.show(finished(number, 0.4, 60.0, best.trial))
    last = terminal.getvalue().rpartition("search")[2]
    assert "3 trials, best 50.00 % at 0.25 ms, about 6 more to train, 1m 00s left" in last

"""A whole search on a board whose line is cut on the way."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

import pytest
from ssh_server import needs_sshd, running_board, wait_for

from nasfit.search import Finished, Noted, Settings, TrialFinished, run_search
from nasfit.study import Study, TrialState


@needs_sshd
@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.timeout(300)
def test_a_search_waits_for_its_board_and_goes_on(
    pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running_board() as board, caplog.at_level(logging.WARNING, "nasfit.search"):
        settings = Settings(
            str(pictures),
            target_ms=0.5,
            device=board.name,
            width=0.35,
            strides="early",
            proxy_images=64,
            max_trials=4,
            budget_s=60.0,
            workers=2,
        )
        board.prepare()

        def back() -> None:
            wait_for(lambda: "waiting for it" in caplog.text, 60.0)
            time.sleep(2.0)
            board.start()

        cut, trials = False, []
        for event in run_search(settings, tmp_path / "study"):
            if isinstance(event, TrialFinished):
                trials.append(event.trial)
                if not cut:
                    cut = True
                    board.stop()
                    threading.Thread(target=back, daemon=True).start()
            if isinstance(event, Finished):
                result = event.result
        assert [trial.state for trial in trials if trial.state is TrialState.FAILED] == []
        assert sum(trial.state is TrialState.COMPLETE for trial in trials) == 4
        assert result.best is not None
        assert str(result.conditions["device"]).startswith("ssh: ")
    assert "is back; going on" in caplog.text


@needs_sshd
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_devices_measure_for_one_search(pictures: Path, tmp_path: Path) -> None:
    with running_board() as board:
        board.prepare()
        settings = Settings(
            str(pictures),
            target_ms=0.5,
            device=f"local,{board.name}",
            width=0.35,
            strides="early",
            proxy_images=64,
            max_trials=4,
            budget_s=20.0,
            workers=1,
        )
        events = list(run_search(settings, tmp_path / "study"))
    assert any(isinstance(event, Noted) and f"{board.name} measures too" in event.text for event in events)
    assert isinstance(events[-1], Finished) and events[-1].result.best is not None
    with Study.open(tmp_path / "study", read_only=True) as study:
        by = {value["device"] for value in study.measurements.values()}
    assert len(by) == 2

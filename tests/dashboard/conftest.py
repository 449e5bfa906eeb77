"""Studies as a search writes them, without a search."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from made_study import made_study

from nasfit.dashboard import Server, Site, Watch

TRIALS = 30


@pytest.fixture(scope="session")
def _unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unfinished") / "study"
    made_study(path, TRIALS, finished=False)
    return path


@pytest.fixture
def unfinished(_unfinished: Path, tmp_path: Path) -> Path:
    """30 trials, two of them running; nobody drives."""
    return shutil.copytree(_unfinished, tmp_path / "study")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 trials and a result; not to be written to."""
    path = tmp_path_factory.mktemp("finished") / "study"
    made_study(path, TRIALS, finished=True)
    return path


@pytest.fixture
def served() -> Iterator[Callable[[Path], Server]]:
    """served(path): the study on a free port, until the test ends."""
    running: list[tuple[Server, Watch]] = []

    def start(path: Path) -> Server:
        watch = Watch(path)
        running.append((Server(Site(watch), 0), watch))
        Thread(target=running[-1][0].serve_forever, daemon=True).start()
        return running[-1][0]

    yield start
    for server, watch in running:
        with closing(watch), server:
            server.shutdown()

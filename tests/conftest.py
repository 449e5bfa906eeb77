"""Random architectures for all tests, seeded: the same ones in every run."""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extension_packages import put_package
from PIL import Image
from postgres_server import Server, started

from nasfit.architecture import Architecture, Block, detector_on
from nasfit.search.detector_study import DetectorSearchSettings
from nasfit.space import named_space
from nasfit.study import Proposal, Study, TrialState

Sampler = Callable[..., Iterator[Architecture]]
Box = tuple[int, int, int, int]


@contextmanager
def made_once(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory that all processes of a test run share, for one of them at a time."""
    own = factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (root / "made-once.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root


@pytest.fixture
def points() -> Sampler:
    """points(number, seed=0, space="mnasnet"): random points of a shipped space."""

    def sample(number: int, seed: int = 0, space: str = "mnasnet") -> Iterator[Architecture]:
        draw, found = random.Random(seed), named_space(space)
        for _ in range(number):
            yield found.decode([draw.randrange(options) for options in found.option_counts])

    return sample


@pytest.fixture
def any_architectures() -> Sampler:
    """any_architectures(number, seed=0): small networks, most of them outside every shipped space."""

    def sample(number: int, seed: int = 0) -> Iterator[Architecture]:
        draw = random.Random(seed)
        for _ in range(number):
            yield Architecture(
                stem_filters=draw.randint(1, 24),
                stem_stride=draw.choice((1, 2)),
                blocks=tuple(_any_block(draw) for _ in range(draw.randint(1, 4))),
                head_filters=draw.randint(1, 64),
                classes=draw.randint(1, 20),
                resolution=draw.randint(24, 40),
                channels=draw.choice((1, 3)),
                activation=draw.choice(("relu", "relu6", "hswish")),
                hidden_filters=draw.choice((0, 0, 12)),
            )

    return sample


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 3 classes x 40 coloured pictures, 24 px: red, green or blue under noise."""
    with made_once(tmp_path_factory) as place:
        root, generator = place / "pictures" / "colours", np.random.default_rng(0)
        if root.exists():
            return root
        for channel, name in enumerate(("red", "green", "blue")):
            (root / name).mkdir(parents=True)
            for number in range(40):
                pixels = generator.integers(0, 120, (24, 24, 3))
                pixels[..., channel] += 100
                Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
        return root


@pytest.fixture
def marked() -> Callable[..., Path]:
    """Writes so many equal pictures, a white rectangle on black, marked as a `card` in Pascal VOC's form."""

    def written(root: Path, number: int, *, size: tuple[int, int], white: Box, told: Box) -> Path:
        """size: height, width. white: the rectangle. told: its annotation. Both: left, top, right, bottom."""
        root.mkdir()
        left, top, right, bottom = white
        corners = "".join(
            f"<{name}>{at}</{name}>" for name, at in zip(("xmin", "ymin", "xmax", "ymax"), told, strict=True)
        )
        for index in range(number):
            pixels = np.zeros((*size, 3), np.uint8)
            pixels[top:bottom, left:right] = 255
            Image.fromarray(pixels).save(root / f"{index:02}.png")
            (root / f"{index:02}.xml").write_text(
                f"<annotation><object><name>card</name><bndbox>{corners}</bndbox></object></annotation>"
            )
        return root

    return written


@pytest.fixture
def detector_study(tmp_path: Path, points: Sampler) -> Callable[..., Path]:
    """detector_study(**settings): a study of a search for detectors, limit 2 ms: two trials within it, one PRUNED."""

    def written(**options: Any) -> Path:
        asked = DetectorSearchSettings("./cards", 2.0, **{"resolution": 96, "width": 0.25, **options})
        path = tmp_path / "runs" / "detectors"
        texts = [str(detector_on(point, classes=2, resolution=96)) for point in points(3, space="mnasnet-lean")]
        with Study.create(path, {**asked.as_json(), "option_counts": [3]}) as study:
            proposed = study.propose([Proposal((place,), text, 0, "guided") for place, text in enumerate(texts)])
            found = zip(proposed, ((0.25, 1.5), (0.125, 1.0), (0.0, 3.0)), strict=True)
            ended = [replace(one, accuracy=precision, latency_ms=needed_ms) for one, (precision, needed_ms) in found]
            states = (TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED)
            study.finish([replace(one, state=state) for one, state in zip(ended, states, strict=True)])
            study.add_seconds("search", 60.0)
        return path

    return written


@pytest.fixture
def add_winner() -> Callable[..., None]:
    """add_winner(study, **facts): as its training leaves it, with a test mAP of 50 % at 1.75 ms."""

    def added(study: Path, **facts: Any) -> None:
        with Study.open(study, read_only=True) as opened:
            detector = opened.trials()[0].architecture
        scores = {"map": 0.5, "map_50": 0.75, "per_class": {"king": 0.25, "queen": None}}
        conditions = {"device": "a board", "engine": "litert"}
        latency = {"latency_ms": 1.75, "low_ms": 1.7, "high_ms": 1.8, "warnings": [], "conditions": conditions}
        told = {"detector": detector, "test": scores, "validation": {"map": 0.375}, "latency": latency, "untold": None}
        told |= {"parameters": 2_000_000, "madds": 9_000_000, "files": {"onnx": "detector.onnx"}, **facts}
        (study / "winner").mkdir(exist_ok=True)
        (study / "winner" / "plan.json").write_text("{}")
        (study / "winner" / "result.json").write_text(json.dumps(told))

    return added


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server; without one the test is skipped."""
    yield from started()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, one processor each; without Ray the test is skipped."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    before = os.environ.get("PYTHONPATH")
    tests = [str(entry) for entry in Path(__file__).parent.iterdir() if entry.is_dir()]
    os.environ["PYTHONPATH"] = os.pathsep.join([*tests, *filter(None, sys.path)])
    try:
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        cluster.add_node(num_cpus=1)
        yield cluster
        cluster.shutdown()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


@pytest.fixture
def add_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[..., None]:
    """add_package(module's text, group=..., package=..., NAME=REFERENCE): installs a package that adds parts."""

    def added(text: str, *, group: str, package: str = "other-parts", **parts: str) -> None:
        module = package.replace("-", "_")
        put_package(tmp_path / package, package, {group: parts}, {f"{module}.py": text})
        monkeypatch.syspath_prepend(tmp_path / package)
        request.addfinalizer(lambda: sys.modules.pop(module, None))

    return added


@pytest.fixture(scope="session")
def command() -> list[str]:
    """The `nasfit` command, installed or not."""
    return [sys.executable, "-c", "from nasfit.cli import main; main()"]


@pytest.fixture(scope="session")
def small_search(pictures: Path, command: list[str]) -> list[str]:
    """A search of the generated pictures that takes seconds; add --study."""
    options = "--target-ms 0.5 --width 0.35 --strides early --proxy-images 64 --max-trials 4 --budget 12s --workers 2"
    return [*command, "search", str(pictures), *options.split()]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, small_search: list[str]) -> tuple[Path, dict[str, Any], str]:
    """One search run to its end by the command line: directory, printed JSON, stderr. Copy it before writing."""
    with made_once(tmp_path_factory) as root:
        path, told = root / "finished" / "study", root / "finished" / "told.json"
        if not told.exists():
            done = subprocess.run(
                [*small_search, "--study", str(path), "--json"], capture_output=True, text=True, timeout=500
            )
            assert done.returncode == 0, done.stderr
            told.write_text(json.dumps([done.stdout, done.stderr]))
        out, err = json.loads(told.read_text())
        return path, json.loads(out), err


def _any_block(draw: random.Random) -> Block:
    se_ratio = draw.choice((0.0, 0.001, 0.25, 1 / 3, draw.uniform(0.01, 1), 1.0))
    return Block(
        op=draw.choice(("conv", "sepconv", "mbconv2", "mbconv3", "mbconv10", "mbconv1.1", "mbconv3.67")),
        kernel=draw.choice((1, 3, 5, 7)),
        stride=draw.choice((1, 2)),
        se_ratio=se_ratio,
        skip=draw.choice(("identity", "pool", "none")),
        filters=draw.choice((3, 8, 12)),
        layers=draw.randint(1, 3),
        se_form=draw.choice(("se", "hse")) if se_ratio else "se",
        activation=draw.choice((None, None, "relu", "hswish")),
    )

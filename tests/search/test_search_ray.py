"""Trainings of a study on a Ray cluster."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nasfit.search import Settings
from nasfit.search.data import prepared
from nasfit.search.far_training import FarTrainings
from nasfit.search.shared_pool import SharedPool
from nasfit.study import Study
from nasfit.training import Recipe, TrainingJob, TrainingResult, run_training
from nasfit.workers import Pool, RayPool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
NETWORK = "in3@24 stem8s2 | sepconv k3 s1 se0 none f8 n1 | head16 out3 relu"


def test_the_cluster_trains_as_this_process_would(cluster: Any, pictures: Path, tmp_path: Path) -> None:
    settings = Settings(str(pictures), 1.0)
    with Study.create(tmp_path / "study", settings.as_json()) as study:
        _, directory = prepared(settings, study)
        (study.path / "models").mkdir()
        jobs = [TrainingJob(NETWORK, str(directory), Recipe(320, batch=16), seed) for seed in range(4)]
        wanted = [replace(job, weights=f"{study.path}/models/{job.seed}") for job in jobs]
        with Pool(1) as pool, closing(RayPool(cluster.address)) as far:
            far.packs(FarTrainings(study.path, far.put))
            shared = SharedPool(pool, study, far)
            assert shared.workers == far.workers >= 2
            found = dict(shared.run(run_training, wanted))
            alone: Any = dict(pool.run(run_training, jobs))
            shared.close()
        for place, result in found.items():
            assert isinstance(result, TrainingResult)
            assert (result.accuracy, result.curve) == (alone[place].accuracy, alone[place].curve)
            assert (study.path / "models" / str(place)).stat().st_size > 1000


def test_a_whole_search(cluster: Any, small_search: list[str], tmp_path: Path) -> None:
    command = [*small_search, "--ray", cluster.address, "--study", str(tmp_path / "study"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["contenders"]

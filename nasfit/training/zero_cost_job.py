"""Zero-cost scores of one network as plain data, so that a worker process can take the work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nasfit.architecture import Architecture
from nasfit.tasks import open_saved
from nasfit.training.batches import as_images, normalised
from nasfit.training.zero_cost import SCORES, zero_cost_scores

# Pictures of the one minibatch.
PICTURES = 64


@dataclass(frozen=True)
class ZeroCostJob:
    """architecture: in text form. data: directory of saved pictures. seed: of weights and pictures. names: scores."""

    architecture: str
    data: str
    seed: int
    names: tuple[str, ...] = SCORES


def run_zero_cost(job: ZeroCostJob) -> dict[str, float]:
    """The scores by name, on the CPU. Every network of one data set and seed sees the same pictures.

    Raises TrialFailure where a score is not finite.
    """
    images_BCHW, labels_B = _minibatch(job.data, job.seed)
    return zero_cost_scores(Architecture.parse(job.architecture), images_BCHW, labels_B, seed=job.seed, names=job.names)


@lru_cache(maxsize=1)
def _minibatch(directory: str, seed: int) -> tuple[Tensor, Tensor]:
    """Training pictures, no two alike: two equal ones would make every network's ReLU kernel singular."""
    data = open_saved(Path(directory))
    order_N = np.random.default_rng(seed).permutation(len(data.train.labels_N))[: 2 * PICTURES]
    images_NHWC = np.asarray(data.train.images_NHWC[np.sort(order_N)])
    _, first_N = np.unique(images_NHWC.reshape(len(images_NHWC), -1), axis=0, return_index=True)
    chosen_B = np.sort(first_N)[:PICTURES]
    labels_B = np.asarray(data.train.labels_N)[np.sort(order_N)][chosen_B]
    images_BCHW = normalised(as_images(images_NHWC[chosen_B]), data.mean, data.std)
    return images_BCHW, torch.from_numpy(labels_B.astype(np.int64))

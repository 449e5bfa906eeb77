"""The processes that train one network together, each on a share of every batch, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

# The others wait as long while the first decodes pictures or evaluates.
PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Ranks:
    """rank: of this process, from 0. world: how many there are. Only the first writes and evaluates."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def agreed(self, values: list[float]) -> list[float]:
        """The first process's values, in all of them; every process has to call it."""
        if self.world == 1:
            return values
        told: list[list[float]] = [values]
        distributed.broadcast_object_list(told, src=0)
        return told[0]

    def wrapped(self, network: nn.Module) -> nn.Module:
        """What computes the same with gradients averaged over all processes; batch norm looks at its own share."""
        if self.world == 1:
            return network
        return DistributedDataParallel(network, broadcast_buffers=False)

    def unsynchronised(self, network: nn.Module) -> AbstractContextManager[object]:
        """While it lasts, gradients of a wrapped network add up in each process alone."""
        if isinstance(network, DistributedDataParallel):
            return network.no_sync()
        return nullcontext()


ALONE = Ranks()


@contextmanager
def joined_ranks(device: torch.device, environment: Mapping[str, str] = os.environ) -> Iterator[Ranks]:
    """This process among those that `torchrun` started; alone where it did not."""
    world = int(environment.get("WORLD_SIZE", "1"))
    if world == 1:
        yield ALONE
        return
    ranks = Ranks(int(environment["RANK"]), world, int(environment["LOCAL_RANK"]))
    if device.type == "cuda":
        torch.cuda.set_device(ranks.local)
    # Objects travel by gloo, gradients on GPUs by NCCL.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield ranks
    finally:
        distributed.destroy_process_group()

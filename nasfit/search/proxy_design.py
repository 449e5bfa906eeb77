"""Which networks tell how well a short training ranks: few, and as unlike each other as the space allows.

M = candidates, D = decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nasfit.architecture import Architecture, count
from nasfit.errors import UsageError
from nasfit.space import SearchSpace, Tokens

# Fewer networks have no order worth the name.
FEWEST = 5
# Random points that networks are picked from, for each network.
CHOICE = 40
# The shares of a full training that are tried where nobody says.
SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
# Fewer pictures than this teach nothing.
LEAST_IMAGES = 300


@dataclass(frozen=True)
class Training:
    """One training to do. network: text form. images: trained on."""

    network: str
    images: int
    seed: int

    @property
    def key(self) -> str:
        """What it is kept under."""
        return f"{self.images} {self.seed} {self.network}"


@dataclass(frozen=True)
class Design:
    """Networks (text forms), each trained on every number of pictures in `budgets` (rising) and fully, on `full`.

    seeds: trainings of each kind, from `seed` on for the short ones; the full ones have seeds of their own, for with
    equal weights and batches at the start the two would be more alike than those of a search are. Raises UsageError for
    too few networks, or budgets that do not rise from 1 to below full.
    """

    networks: tuple[str, ...]
    budgets: tuple[int, ...]
    full: int
    seeds: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.networks) < FEWEST:
            raise UsageError(f"--networks is {len(self.networks)}; fewer than {FEWEST} tell nothing about an order")
        if self.seeds < 1:
            raise UsageError(f"--seeds is {self.seeds}; it must be 1 or more")
        if not self.budgets or list(self.budgets) != sorted({0, *self.budgets, self.full})[1:-1]:
            told = ", ".join(map(str, self.budgets)) or "no"
            raise UsageError(
                f"short trainings are of {told} pictures, the full one of {self.full}; give --budgets that rise from 1 "
                f"to below the full one"
            )

    def short(self, images: int) -> list[list[Training]]:
        """The trainings on so many pictures: a list a seed, in the networks' order."""
        return [[Training(network, images, self.seed + k) for network in self.networks] for k in range(self.seeds)]

    @property
    def long(self) -> list[list[Training]]:
        """The full trainings, alike."""
        first = self.seed + self.seeds
        return [[Training(network, self.full, first + k) for network in self.networks] for k in range(self.seeds)]

    @property
    def trainings(self) -> list[Training]:
        """All, the longest first, so that no worker is left alone with a long one at the end."""
        kinds = [self.long, *map(self.short, reversed(self.budgets))]
        return [training for kind in kinds for seed in kind for training in seed]

    @property
    def images(self) -> int:
        """Pictures that one network is trained on in all."""
        return self.seeds * (self.full + sum(self.budgets))


def spread(
    space: SearchSpace, build: Callable[[Tokens], Architecture], number: int, seed: int
) -> list[tuple[Tokens, Architecture]]:
    """Points whose networks lie far from each other in multiply-adds and in decisions; another seed, other points.

    build: of a point the network as it is trained. The first is the median in multiply-adds of random candidates; each
    further one the candidate whose nearest among those chosen is farthest. Distance: the difference of the logarithms
    of multiply-adds, as a share of its range, and the share of decisions that differ. Raises UsageError where the space
    has fewer networks.
    """
    generator = np.random.default_rng(seed)
    tokens_MD = generator.integers(space.option_counts, size=(CHOICE * number, len(space.option_counts)))
    built = {point: build(point) for point in map(tuple, tokens_MD.tolist())}
    # Two points may build one network.
    points = list({str(network): point for point, network in built.items()}.values())
    if len(points) < number:
        raise UsageError(f"space {space.name!r} has {len(points)} networks; ask for no more than these")
    log_M = np.log([count(built[point]).madds for point in points])
    chosen = farthest(np.array(points), (log_M - log_M.min()) / max(float(np.ptp(log_M)), 1e-12), number)
    return [(points[place], built[points[place]]) for place in chosen]


def farthest(tokens_MD: np.ndarray, size_M: np.ndarray, number: int) -> list[int]:
    """Places of points far apart, from the median of `size_M` (0..1) on; see `spread`."""
    chosen = [int(np.argsort(size_M, kind="stable")[len(size_M) // 2])]
    nearest_M = np.full(len(size_M), np.inf)
    while len(chosen) < number:
        last = chosen[-1]
        apart_M = np.abs(size_M - size_M[last]) + (tokens_MD != tokens_MD[last]).mean(axis=1)
        nearest_M = np.minimum(nearest_M, apart_M)
        chosen.append(int(np.argmax(nearest_M)))
    return chosen


def affordable_full(core_seconds: float, speeds: Sequence[float], seeds: int, shares: Sequence[float] = SHARES) -> int:
    """Pictures of a full training, so that all trainings of these networks take so many seconds of one core.

    speeds: of each network, pictures a second. shares: of the full training that the shorter ones are.
    """
    one_picture_s = sum(1 / speed for speed in speeds)
    return int(core_seconds / (one_picture_s * seeds * (1 + sum(shares))))


def budgets_of(full: int, shares: Sequence[float] = SHARES) -> tuple[int, ...]:
    """Shorter trainings, as round numbers of pictures; those that teach nothing are left out."""
    rounded = {_round(full * share) for share in shares}
    return tuple(sorted(images for images in rounded if LEAST_IMAGES <= images < full))


def _round(images: float) -> int:
    """To two digits."""
    return int(float(f"{images:.1e}"))

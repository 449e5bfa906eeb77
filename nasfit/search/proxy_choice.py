"""How short a training may be and still rank networks as the full one does: judged from a design's trainings.

N = networks, S = seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nasfit.architecture import Architecture, count
from nasfit.errors import StudyError, UsageError
from nasfit.search.proxy_design import FEWEST, Design, Training
from nasfit.search.proxy_trainings import Kept
from nasfit.search.rank_agreement import Agreement, agreement, mean_agreement


@dataclass(frozen=True)
class Length:
    """One number of pictures to train on.

    seconds: of one training, mean over networks. share: of the full training's pictures. agreement: of the order after
    it with that after the full training, None where one does not vary. evened: what the choice goes by, see `rising`.
    """

    images: int
    seconds: float
    share: float
    agreement: Agreement | None
    evened: float


@dataclass(frozen=True)
class ProxyChoice:
    """What a check found. images: the shortest training that meets the wish, None where none does.

    lengths: rising. full, full_s: pictures and seconds of the full training. ceiling: of the full training with itself
    under another seed, None with one seed. networks: text forms, with full_accuracies. left_out: networks whose
    training failed, with the reason.
    """

    wish: float
    images: int | None
    lengths: tuple[Length, ...]
    full: int
    full_s: float
    ceiling: Agreement | None
    networks: tuple[str, ...]
    full_accuracies: tuple[float, ...]
    left_out: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def verdict(self) -> str:
        """The choice in one sentence, with what so few networks leave open."""
        if self.images is None:
            longest = self.lengths[-1]
            return (
                f"no length tried ranks these {len(self.networks)} networks with tau {self.wish:g} or more; "
                f"the longest, {longest.images:,} pictures, gives {_told(longest)}"
            )
        chosen = next(length for length in self.lengths if length.images == self.images)
        sure = chosen.agreement is not None and chosen.agreement.low >= self.wish
        doubt = "" if sure else f"; {len(self.networks)} networks leave open whether it is {self.wish:g} or more"
        return (
            f"{self.images:,} pictures are the fewest that rank with tau {self.wish:g} or more: {_told(chosen)}{doubt}"
        )

    def lines(self) -> Iterator[str]:
        """A table, and the verdict."""
        millions = [count(Architecture.parse(network)).madds / 1e6 for network in self.networks]
        yield (
            f"{len(self.networks)} networks, {min(millions):.3g} to {max(millions):.3g} million multiply-adds; "
            f"full training: {self.full:,} pictures, {self.full_s:.3g} s a network"
        )
        yield f"{'pictures':>10}{'s a network':>13}{'of full':>9}{'evened tau':>12}{'tau':>7}   90 %"
        for length in self.lengths:
            start = f"{length.images:>10,}{length.seconds:>13.3g}{length.share:>9.1%}{length.evened:>12.2f}"
            yield f"{start}{_cells(length.agreement)}"
        if self.ceiling is not None:
            yield f"{'full, another seed':<44}{_cells(self.ceiling)}"
        yield from (f"left out: {network}: {reason}" for network, reason in self.left_out.items())
        yield self.verdict


def require_wish(wish: float) -> None:
    """Raises UsageError unless a tau can be so."""
    if not 0 < wish <= 1:
        raise UsageError(f"the wish is {wish!r}; it must be a Kendall's tau above 0 and up to 1")


def proxy_choice(design: Design, kept: Kept, wish: float) -> ProxyChoice:
    """Judges all trainings of a design, done before. Raises StudyError where too few networks could be trained."""
    require_wish(wish)
    left_out = {
        training.network: str(kept[training.key]["failed"])
        for training in design.trainings
        if "failed" in kept[training.key]
    }
    places = [place for place, network in enumerate(design.networks) if network not in left_out]
    if len(places) < FEWEST:
        reason = next(iter(left_out.values()))
        raise StudyError(f"only {len(places)} networks could be trained, too few to rank; the first failed: {reason}")

    def values(trainings: Sequence[Sequence[Training]], what: str) -> np.ndarray:
        return np.array([[kept[of_seed[place].key][what] for place in places] for of_seed in trainings])

    full_SN = values(design.long, "accuracy")
    full_N = full_SN.mean(axis=0)
    found = [mean_agreement(values(design.short(images), "accuracy").tolist(), full_N) for images in design.budgets]
    evened = rising([0.0 if one is None else one.tau for one in found])
    lengths = tuple(
        Length(images, float(values(design.short(images), "seconds").mean()), images / design.full, one, tau)
        for images, one, tau in zip(design.budgets, found, evened, strict=True)
    )
    return ProxyChoice(
        wish=wish,
        images=next((length.images for length in lengths if length.evened >= wish), None),
        lengths=lengths,
        full=design.full,
        full_s=float(values(design.long, "seconds").mean()),
        ceiling=agreement(full_SN[0].tolist(), full_SN[1].tolist()) if design.seeds > 1 else None,
        networks=tuple(design.networks[place] for place in places),
        full_accuracies=tuple(full_N.tolist()),
        left_out=left_out,
    )


def rising(values: Sequence[float]) -> list[float]:
    """The nearest values (least squares) that never fall: pool adjacent violators (Ayer et al. 1955).

    Longer trainings rank better; were each taken by itself, the choice would fall on a short one that was lucky.
    """
    pools: list[list[float]] = []
    for value in values:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return [float(np.mean(pool)) for pool in pools for _ in pool]


def _told(length: Length) -> str:
    found = length.agreement
    if found is None:
        return "no order"
    evened = "" if abs(found.tau - length.evened) < 0.005 else f", {length.evened:.2f} evened out over the lengths"
    return f"tau {found.tau:.2f} (90 %: {found.low:.2f} to {found.high:.2f}{evened})"


def _cells(found: Agreement | None) -> str:
    return f"{'-':>7}" if found is None else f"{found.tau:>7.2f}   {found.low:.2f} to {found.high:.2f}"

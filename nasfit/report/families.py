"""What the published networks of a comparison are called, together and apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nasfit.search.result import Contender

WORDS = {"mobilenet-v2": "MobileNetV2", "mobilenet-v3-small": "MobileNetV3-small"}
_WIDTH = re.compile(r" x[\d.]+")


def family(baseline: Contender) -> str:
    """Its family as authors write it, such as `MobileNetV2`."""
    name = _WIDTH.split(baseline.name)[0]
    return WORDS.get(name, name)


def by_family(baselines: Sequence[Contender]) -> dict[str, tuple[Contender, ...]]:
    """Baselines by the family's name, in the order of their first."""
    names = dict.fromkeys(family(baseline) for baseline in baselines)
    return {name: tuple(one for one in baselines if family(one) == name) for name in names}


def together(baselines: Sequence[Contender]) -> str:
    """`MobileNetV2 and MobileNetV3-small`."""
    return " and ".join(by_family(baselines))


def any_of(baselines: Sequence[Contender]) -> str:
    """What any one of them is: `MobileNetV2`, or `MobileNet` where families differ."""
    names = list(by_family(baselines))
    return names[0] if len(names) == 1 else "MobileNet"


def lines(baselines: Sequence[Contender]) -> list[list[Contender]]:
    """Networks that differ in width alone, each group fastest first: what a chart joins."""
    names = dict.fromkeys(_WIDTH.sub("", baseline.name) for baseline in baselines)
    order = sorted(baselines, key=lambda baseline: baseline.latency_ms)
    return [[one for one in order if _WIDTH.sub("", one.name) == name] for name in names]

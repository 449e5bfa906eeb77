"""All networks of a narrowed space share weights that are trained once; any of them is then scored in seconds.

Uniform sampling of the whole space learns nothing in minutes: each weight serves too many networks. Trained are so many
random networks of the space about as large as those that meet the limit, after the largest of every kind, which every
other is a part of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nasfit.architecture import Architecture, count
from nasfit.errors import TrialFailure
from nasfit.search.evaluate import by_network, completed, failed
from nasfit.search.plan import SEARCH_SHARE
from nasfit.search.setup import Setup
from nasfit.search.shared_trials import begun, patient_run, scored
from nasfit.study import Trial
from nasfit.training.recipe import Recipe
from nasfit.training.shared_file import SharedFacts, shared_content
from nasfit.training.shared_rounds import train_together
from nasfit.training.shared_scoring import Scored

SUPERNET_FILE = "shared/supernet.safetensors"
# Networks that stand for the space: every choice occurs in many of them.
SUPERNET_MEMBERS = 96
# Of the search's time, for training; and of that, for the largest networks alone.
SUPERNET_SHARE, LARGEST_SHARE = 0.4, 0.25
SUPERNET_RATE = 0.05
STAGES = 2
# Draws of a network until one is of the wanted size.
MOST_DRAWS = 200


def supernet(setup: Setup, trials: Sequence[Trial]) -> Iterator[Trial]:
    """Scores measured trials with the study's supernet, trained before the first of them; stores no trial."""
    groups = by_network(trials)
    if not groups:
        return
    try:
        facts = _trained(setup, groups)
    except TrialFailure as failure:
        yield from (failed(trial, str(failure)) for trial in trials)
        return

    def finish(trial: Trial, score: Scored) -> Trial:
        done = completed(setup, trial, score.accuracy, score.seconds)
        if trial.number not in facts.first:
            return done
        # What all trials profit from, told with those that were there when it was spent.
        return replace(done, seconds={**done.seconds, "supernet": facts.seconds / len(facts.first)})

    yield from scored(setup, list(groups.values()), SUPERNET_FILE, finish)


def _trained(setup: Setup, groups: Mapping[str, Sequence[Trial]]) -> SharedFacts:
    """Trains the supernet where that has not been done; the first trials show which sizes meet the limit."""
    facts = begun(setup, SUPERNET_FILE)
    if facts.stages == STAGES:
        return facts
    wanted = [Architecture.parse(text) for text in groups]
    stages = (
        (LARGEST_SHARE, facts.largest),
        (1 - LARGEST_SHARE, tuple(map(str, representatives(setup, wanted)))),
    )
    images = supernet_images(setup)
    for stage, (share, members) in enumerate(stages):
        if stage < facts.stages:
            continue
        weights, now = train_together(
            patient_run(setup),
            setup.pool.workers,
            setup.study.path / SUPERNET_FILE,
            members,
            setup.data_directory,
            Recipe(images=round(share * images), peak_rate=SUPERNET_RATE),
            seed=setup.settings.seed + stage,
            scratch=setup.study.path / "shared",
        )
        first = tuple(trials[0].number for trials in groups.values())
        facts = replace(now, first=first, stages=stage + 1, failures={}, seconds=facts.seconds + now.seconds)
        setup.study.write_file(SUPERNET_FILE, shared_content(weights, facts))
    return facts


def supernet_images(setup: Setup) -> int:
    """Pictures that the supernet's share of the search's time is good for, at the speed of a network near the limit."""
    seconds = SUPERNET_SHARE * SEARCH_SHARE * setup.settings.budget_s * setup.pool.workers
    return max(setup.plan.proxy_images, int(seconds * setup.plan.speed))


def representatives(setup: Setup, wanted: Sequence[Architecture]) -> list[Architecture]:
    """Random networks of the space with multiply-adds within the range of `wanted`, as far as such are found."""
    sizes = [count(architecture).madds for architecture in wanted]
    random = np.random.default_rng(setup.settings.seed)
    found: dict[Architecture, None] = {}
    for _ in range(SUPERNET_MEMBERS):
        for _ in range(MOST_DRAWS):
            drawn = setup.architecture(tuple(int(random.integers(options)) for options in setup.space.option_counts))
            if min(sizes) <= count(drawn).madds <= max(sizes):
                found[drawn] = None
                break
    return list(found or dict.fromkeys(wanted))

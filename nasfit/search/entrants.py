"""Who takes part in the finale: the search's winners, and the published networks beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from nasfit.errors import StudyError
from nasfit.objective import Front
from nasfit.search.baselines import baselines, baselines_within
from nasfit.search.best_trials import front_of
from nasfit.search.setup import Setup
from nasfit.study import Trial, TrialState

FASTER = (0.7, 0.5)  # also trained: the best networks within these shares of the winner's latency
FRONT_POINTS = 5  # of a front: networks trained fully, one a limit
FRONT_BASELINES = 3  # and limits that each family of published networks has a width for
CLOSE = 0.95  # a winner nearer to the limit than this may miss it as exported: a reserve below it is trained too


@dataclass(frozen=True)
class Entrant:
    """A network of the finale. origin: `found` or `baseline`."""

    name: str
    origin: str
    architecture: str

    @property
    def weights(self) -> str:
        """Where its weights lie in the study directory."""
        return f"models/{self.name.replace(' ', '-')}.safetensors"


def promotions(setup: Setup) -> dict[str, float]:
    """Validation accuracy of the promoted networks by their text."""
    return dict(setup.study.document("promotions") or {})


def leaders(setup: Setup) -> list[Trial]:
    """Complete trials that meet the target, each network once, the most accurate first."""
    target_ms = setup.settings.target_ms
    meeting = {
        trial.architecture: trial
        for trial in setup.study.trials()
        if trial.state is TrialState.COMPLETE and trial.duplicate_of is None and (trial.latency_ms or 0.0) <= target_ms
    }
    return sorted(meeting.values(), key=lambda trial: (-(trial.accuracy or 0.0), trial.latency_ms or 0.0))


def hopefuls(setup: Setup) -> list[Trial]:
    """The trials worth a longer training, the most promising first: leaders, or of a front search the best a limit."""
    best = leaders(setup)
    front = setup.goal
    if not isinstance(front, Front):
        return best
    return _best_within(best, _limits(front), {trial.architecture: trial.accuracy or 0.0 for trial in best})


def entrants(setup: Setup) -> list[Entrant]:
    """The search's networks and the baselines beside them; chosen once.

    Of one limit: the winner by promoted accuracy and the best of the clearly faster. Of a front: the best at each of a
    few limits spread over it, the most accurate first.
    """
    known = setup.study.document("entrants")
    if known:
        return [Entrant(**entrant) for entrant in known]
    found = [Entrant(f"found-{place}", "found", text) for place, text in enumerate(_winners(setup), start=1)]
    chosen = found + _beside(setup, found[0].architecture)
    setup.study.put_document("entrants", [asdict(entrant) for entrant in chosen])
    return chosen


def _winners(setup: Setup) -> list[str]:
    candidates = leaders(setup) or _fastest(setup)
    long_run = promotions(setup)
    if isinstance(front := setup.goal, Front):
        return [trial.architecture for trial in _front_winners(setup, front)] or [candidates[0].architecture]
    in_promotion = [trial for trial in candidates if trial.architecture in long_run]
    best = max(in_promotion or candidates[:1], key=lambda trial: long_run.get(trial.architecture, 0.0))
    winners = [best.architecture]
    latency_ms, reserve_ms = best.latency_ms or 0.0, CLOSE * setup.settings.target_ms
    bounds = [reserve_ms] if reserve_ms < latency_ms <= setup.settings.target_ms else []
    for bound_ms in (*bounds, *(share * latency_ms for share in FASTER)):
        faster = [trial for trial in candidates if (trial.latency_ms or 0.0) <= bound_ms]
        winners += [trial.architecture for trial in faster[:1]]
    return list(dict.fromkeys(winners))


def _front_winners(setup: Setup, front: Front) -> list[Trial]:
    """The best at each limit; of the promoted among them only those that are still the best at one."""
    hopeful, long_run = hopefuls(setup), promotions(setup)
    still = _best_within(hopeful, _limits(front), long_run)
    return [trial for trial in hopeful if trial in still or trial.architecture not in long_run]


def _limits(front: Front, number: int = FRONT_POINTS) -> list[float]:
    """Spread evenly in ratio, the highest first."""
    step = (front.high_ms / front.low_ms) ** (1 / (number - 1))
    return [front.high_ms / step**place for place in range(number)]


def _best_within(trials: Sequence[Trial], limits: Sequence[float], accuracies: Mapping[str, float]) -> list[Trial]:
    """The most accurate trial within each limit (ms), each once; those without an accuracy here do not count."""
    known = [trial for trial in trials if trial.architecture in accuracies]
    best: dict[str, Trial] = {}
    for limit_ms in limits:
        within = [trial for trial in known if (trial.latency_ms or 0.0) <= limit_ms * (1 + 1e-9)]
        if within:
            winner = max(within, key=lambda trial: (accuracies[trial.architecture], -(trial.latency_ms or 0.0)))
            best.setdefault(winner.architecture, winner)
    return list(best.values())


def _fastest(setup: Setup) -> list[Trial]:
    """Where nothing met the target: the front, fastest first."""
    complete = [trial for trial in setup.study.trials() if trial.state is TrialState.COMPLETE]
    if not complete:
        reasons = sorted({trial.reason or "" for trial in setup.study.trials()})
        raise StudyError(
            f"no trial was trained ({len(setup.study.trials())} tried); reasons: {'; '.join(reasons[:3])}. "
            f"Raise --budget or --target-ms, or lower --width"
        )
    return front_of(complete)


def _beside(setup: Setup, winner: str) -> list[Entrant]:
    """The published networks to compare with."""
    if isinstance(front := setup.goal, Front):
        beside = baselines_within(setup, _limits(front, FRONT_BASELINES))
    else:
        known = {trial.architecture: trial.latency_ms for trial in setup.study.trials() if trial.latency_ms}
        beside = baselines(setup, known[winner])
    return [Entrant(one.name, "baseline", str(one.network)) for one in beside]

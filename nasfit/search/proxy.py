"""Whether the short training of a trial ranks networks as the full one does: checked within every study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nasfit.architecture import Architecture, count
from nasfit.errors import TrialFailure
from nasfit.search.entrants import Entrant
from nasfit.search.evaluators import ALONE
from nasfit.search.events import FinaleStep
from nasfit.search.plan import PROMOTION_SHARE
from nasfit.search.proxy_check import DOCUMENT, ProxyCheck, ProxyPair
from nasfit.search.result import Contender
from nasfit.search.setup import Setup
from nasfit.study import TrialState
from nasfit.training import run_training

# Of baselines, by name: accuracy, or None where training failed.
PROXIES = "proxies"


def proxies_trained(setup: Setup, chosen: Sequence[Entrant]) -> Iterator[FinaleStep]:
    """Trains the baselines as trials are trained, the smallest first, as far as the promotion's budget goes.

    None where trials are scored within a batch: then the check is left to the search's own networks.
    """
    proxies: dict[str, float | None] = dict(setup.study.document(PROXIES) or {})
    make = ALONE.get(setup.plan.evaluator)
    wanted = _affordable(setup, [entrant for entrant in chosen if entrant.name not in proxies]) if make else []
    jobs = [make(setup, entrant.architecture, setup.settings.seed) for entrant in wanted if make]
    what, everything = "short training of the baselines", len(proxies) + len(wanted)
    if wanted:
        yield FinaleStep(what, len(proxies), everything)
    for index, value in setup.pool.run(run_training, jobs):
        proxies[wanted[index].name] = None if isinstance(value, TrialFailure) else value.accuracy
        setup.study.put_document(PROXIES, proxies)
        yield FinaleStep(what, len(proxies), everything)


def keep_pairs(setup: Setup, contenders: Sequence[Contender]) -> None:
    """Stores the check: the search's networks with the accuracies of their trials, the baselines with their own."""
    complete = setup.study.trials([TrialState.COMPLETE])
    known: dict[str, float | None] = {t.architecture: t.accuracy for t in complete if t.duplicate_of is None}
    proxies: dict[str, float | None] = setup.study.document(PROXIES) or {}
    pairs, left_out = [], []
    for contender in contenders:
        short = known.get(contender.architecture, proxies.get(contender.name))
        if short is not None:
            pairs.append(ProxyPair(contender.name, short, contender.accuracy))
        elif contender.name not in proxies and setup.plan.evaluator in ALONE:
            left_out.append(contender.name)
    setup.study.put_document(DOCUMENT, ProxyCheck(tuple(pairs), tuple(left_out)).as_json())


def _affordable(setup: Setup, chosen: Sequence[Entrant]) -> list[Entrant]:
    """Baselines that what is left of the promotion's budget can train; a training takes time as multiply-adds do."""
    trained = [t for t in setup.study.trials([TrialState.COMPLETE]) if "train" in t.seconds]
    seconds = sum(trial.seconds["train"] for trial in trained)
    a_madd_s = seconds / sum(_madds(trial.architecture) for trial in trained) if trained else 0.0
    budget_s = PROMOTION_SHARE * setup.settings.budget_s - setup.study.seconds().get("promotion", 0.0)
    left_s = budget_s * setup.pool.workers
    affordable = []
    for entrant in sorted((e for e in chosen if e.origin == "baseline"), key=lambda e: _madds(e.architecture)):
        left_s -= a_madd_s * _madds(entrant.architecture)
        if left_s >= 0:
            affordable.append(entrant)
    return affordable


def _madds(architecture: str) -> int:
    return count(Architecture.parse(architecture)).madds

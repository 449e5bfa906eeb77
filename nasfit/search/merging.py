"""Several studies of one search, run apart, as one study that goes on from all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from nasfit.errors import StudyError, UsageError
from nasfit.search.exponent import DOCUMENT as EXPONENT
from nasfit.search.settings import MAY_CHANGE, Settings
from nasfit.search.warm_start import DOCUMENT as WARM_START
from nasfit.study import Proposal, Study, Trial, TrialState

# None of these changes what a trial means; a seed decides which pictures validate, and a note says so.
FREE = (*MAY_CHANGE, "seed", "strategy", "warm_start", "hints", "screen", "final_start", "proxy_wish")
# Of the plan: on these an accuracy depends.
ALIKE = ("width", "strides", "resolution", "proxy_images", "evaluator", "train_precision", "progressive")
ALONE = "standalone"
# What holds for all, taken from the first; what else a study keeps is of its own course, and made anew.
KEPT = ("plan", "space", EXPONENT, WARM_START)


@dataclass(frozen=True)
class Merged:
    """What a merged study came to. left: trials that had not ended, and were left out. notes: doubts to tell."""

    trials: int
    left: int
    notes: tuple[str, ...]


def merged(studies: Sequence[Path], into: Path) -> Merged:
    """Writes a new study with the ended trials, look-ups and measurements of all, whole or not at all.

    Trials are numbered anew, study by study; budgets and seconds are summed. The first one's settings hold where they
    may differ. Raises UsageError for fewer than two studies, StudyError where their accuracies or latencies cannot be
    compared, or `into` exists.
    """
    if len({path.resolve() for path in studies}) < 2:
        raise UsageError("merging takes two different studies or more; name their directories after the new one's")
    if into.exists():
        raise StudyError(f"{str(into)!r} exists already; name a new directory for the merged study")
    with ExitStack() as stack:
        opened = [stack.enter_context(Study.open(path, read_only=True)) for path in studies]
        notes = [note for other in opened[1:] for note in _compared(opened[0], other)]
        settings = opened[0].settings
        settings["budget_s"] = sum(study.settings["budget_s"] for study in opened)
        unfinished = into.with_name(f".{into.name}.unfinished")
        _removed(unfinished)
        with Study.create(unfinished, settings) as whole:
            for name in KEPT:
                if (document := opened[0].document(name)) is not None:
                    whole.put_document(name, document)
            left = sum(_added(study, whole) for study in opened)
            total = len(whole.trials())
    unfinished.rename(into)
    return Merged(total, left, tuple(dict.fromkeys(notes)))


def _compared(first: Study, other: Study) -> Iterator[str]:
    """Doubts about merging the two. Raises StudyError where their trials mean different things."""
    both = f"{str(first.path)!r} and {str(other.path)!r}"
    plans = []
    for study in (first, other):
        plan = study.document("plan")
        if plan is None:
            raise StudyError(f"study {str(study.path)!r} is no search that has got beyond its calibration")
        if plan.get("evaluator", ALONE) != ALONE:
            raise StudyError(
                f"study {str(study.path)!r} trains networks from weights of its own (evaluator {plan['evaluator']}): "
                f"its accuracies compare with no other study's"
            )
        plans.append(plan)
    defaults = {field.name: field.default for field in fields(Settings)}
    fixed = [name for name in defaults if name not in FREE]
    differing = [
        *_differing(fixed, defaults | first.settings, defaults | other.settings),
        *_differing(ALIKE, *plans),
        *_differing(("name", "definition"), first.document("space"), other.document("space")),
    ]
    if _instruments(first) != _instruments(other) and _instruments(first) and _instruments(other):
        differing.append(f"device and engine: {_instruments(first)} and {_instruments(other)}")
    data = [(study.document("data") or {}).get("fingerprint") for study in (first, other)]
    seeds = first.settings["seed"], other.settings["seed"]
    if data[0] != data[1] and seeds[0] == seeds[1]:
        differing.append("the pictures")
    if differing:
        raise StudyError(f"{both} cannot be merged, they differ in:\n" + "\n".join(f"  {line}" for line in differing))
    if seeds[0] != seeds[1]:
        yield "their seeds differ: accuracies are of different validation pictures of the same set"


def _differing(names: Sequence[str], first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    pairs = [(name, first.get(name), other.get(name)) for name in names]
    return [f"{name}: {one!r} and {another!r}" for name, one, another in pairs if one != another]


def _instruments(study: Study) -> list[tuple[str, str]]:
    """Devices and engines that the study measured with."""
    return sorted({(str(value.get("device")), str(value.get("engine"))) for value in study.measurements.values()})


def _added(study: Study, whole: Study) -> int:
    """Copies everything that counts; how many trials had not ended."""
    for key, value in study.measurements.items():
        if key not in whole.measurements:
            whole.measurements[key] = value
    known = {look.tokens for look in whole.lookups.all()}
    whole.lookups.add([look for look in study.lookups.all() if look.tokens not in known])
    for kind, seconds in study.seconds().items():
        whole.add_seconds(kind, seconds)
    ended = [trial for trial in study.trials() if trial.state is not TrialState.RUNNING]
    proposed = whole.propose([_proposal(trial) for trial in ended])
    numbers = {trial.number: new.number for trial, new in zip(ended, proposed, strict=True)}
    for batch in study.batches():
        whole.finish([_renumbered(trial, numbers) for trial in batch])
    return len(study.running())


def _proposal(trial: Trial) -> Proposal:
    return Proposal(trial.tokens, trial.architecture, trial.seed, trial.origin, trial.versions)


def _renumbered(trial: Trial, numbers: Mapping[int, int]) -> Trial:
    original = None if trial.duplicate_of is None else numbers[trial.duplicate_of]
    return replace(trial, number=numbers[trial.number], duplicate_of=original)


def _removed(directory: Path) -> None:
    """What a merge that was killed has left."""
    if directory.is_dir():
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()

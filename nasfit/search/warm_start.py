"""An earlier study of the same space: what it measured and trained gives hints to this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasfit.errors import UsageError
from nasfit.space import ABLATIONS, SPACES, SearchSpace, named_space
from nasfit.strategies import Hint, hint_from
from nasfit.study import Study, TrialState, holds_study

if TYPE_CHECKING:
    from nasfit.search.setup import Setup

DOCUMENT = "warm start"


def require_study(path: str) -> None:
    """Raises UsageError where there is no study to start from."""
    if not holds_study(Path(path)):
        raise UsageError(f"--warm-start names {path!r}, which holds no study; give the directory of an earlier search")


def keep_earlier(study: Study, path: str, space: SearchSpace) -> None:
    """Copies what the earlier study knows into this one, once: from then on this study needs no other.

    Raises UsageError where that study is of another space or has trained nothing.
    """
    if study.document(DOCUMENT) is not None and study.document("plan") is not None:
        return
    require_study(path)
    with Study.open(Path(path), read_only=True) as earlier:
        _check_space(earlier, path, space)
        trials = earlier.trials()
        accuracies = {trial.tokens: trial.accuracy for trial in trials if trial.state is TrialState.COMPLETE}
        latencies = {look.tokens: look.latency_ms for look in earlier.lookups.all() if look.latency_ms is not None}
        latencies |= {trial.tokens: trial.latency_ms for trial in trials if trial.latency_ms is not None}
        if not accuracies:
            raise UsageError(f"study {path!r} of --warm-start has no trained trial; leave --warm-start out")
        document = {
            "study": str(Path(path).absolute()),
            "accuracies": [[list(tokens), value] for tokens, value in accuracies.items()],
            "latencies": [[list(tokens), value] for tokens, value in latencies.items()],
        }
    study.put_document(DOCUMENT, document)


def warm_start_text(document: dict[str, Any]) -> str:
    """What was taken over, in one sentence."""
    trained, measured = len(document["accuracies"]), len(document["latencies"])
    return f"hints from {document['study']}: {trained:,} trained and {measured:,} measured networks"


def hints(setup: Setup) -> tuple[tuple[Hint, ...], tuple[Hint, ...]]:
    """Hints at accuracy and at latency (log ms), none without an earlier study."""
    stored = setup.study.document(DOCUMENT)
    if stored is None or setup.settings.warm_start is None:
        return (), ()
    return (_hint(setup, stored["accuracies"]),), (_hint(setup, stored["latencies"]),)


def _hint(setup: Setup, rows: Sequence[tuple[list[int], float]]) -> Hint:
    read = [(tuple(tokens), value) for tokens, value in rows]
    return hint_from(setup.space.option_counts, setup.space.groups, read)


def _check_space(earlier: Study, path: str, space: SearchSpace) -> None:
    """The same option counts are enough: whatever the options mean, the strategy learns what its hints are worth."""
    about = earlier.document("space") or {}
    name, counts, own = about.get("name"), about.get("options"), space.option_counts
    if about.get("definition") == repr(space):
        return
    if counts is None and name in SPACES + ABLATIONS:
        # Studies of before options were kept.
        counts = named_space(name).option_counts
    if counts is None:
        what = "how many options its decisions have is not kept"
    elif len(counts) != len(own):
        what = f"it has {len(counts)} decisions, space {space.name!r} of this search has {len(own)}"
    elif tuple(counts) != own:
        place = next(place for place, pair in enumerate(zip(counts, own, strict=True)) if pair[0] != pair[1])
        what = f"its decision {place} has {counts[place]} options, that of this search's {space.name!r} {own[place]}"
    else:
        return
    raise UsageError(
        f"study {path!r} of --warm-start searched another space ({name!r}): {what}; name a study of the same space"
    )

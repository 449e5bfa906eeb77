"""Sentences about the search itself: random search beside it, its pace, and the command that repeats it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import fields

from nasfit.report.story import Story
from nasfit.report.wording import counted, duration, ms, value
from nasfit.search.result import RandomShare
from nasfit.study import TrialState


def against_random(story: Story) -> Iterator[str]:
    """What random points reached, and whether the search did better than that lets one expect."""
    share = story.random
    if share.best is None or share.found is None:
        yield "No random point was trained, so there is nothing to compare the search with."
        return
    yield (
        f"The first batch is random whatever the strategy: {counted(share.trials, 'trial')}, {share.trained:,} of them "
        f"trained, best {story.value_name} {value(share.best)}. The search's best is {value(share.found)}."
    )
    number = share.number or len(story.complete)
    if share.trained == number:
        yield "Nothing but these random points has been trained."
        return
    if share.expected is None:
        yield "Fewer than 5 random points were trained, too few to say what random search would have reached."
        return
    yield _expected_of_random(share, number)


def _expected_of_random(share: RandomShare, number: int) -> str:
    """The verdict on strategy against chance; an interval only where the study keeps one."""
    points, found = counted(number, "trained random point"), value(share.found)
    fit = "a normal fit to the upper half of the random rewards"
    if share.low is None or share.high is None:
        # Of an earlier version, or random points that are all alike.
        return f"Of {points}, {fit} lets one expect {value(share.expected)} at best; the search reached {found}."
    verdict = {
        "better": "above that interval: the search did better than random search.",
        "unclear": "within that interval: not distinguishable from random search.",
        "worse": "below that interval: the search did worse than random search.",
    }[share.verdict or "unclear"]
    return (
        f"Of {points} one may expect {value(share.expected)} at best (90 %: {value(share.low)} to {value(share.high)}; "
        f"{fit}). The search reached {found}, {verdict}"
    )


def pace(story: Story) -> Iterator[str]:
    """How fast trials came, and what workers and device spent on them."""
    trained, searched = len(story.complete), story.seconds.get("search", 0.0)
    if trained and searched:
        finished = sum(trial.state is not TrialState.RUNNING for trial in story.trials)
        yield (
            f"{60 * trained / searched:.1f} trained trials a minute of search, {60 * finished / searched:.1f} with "
            f"those pruned, failed or answered from earlier ones."
        )
    if story.stopped:
        verb = "is" if len(story.stopped) == 1 else "are"
        yield f"{counted(len(story.stopped), 'training')} stopped early {verb} not among the trained."
    looks, look_s = story.looks
    if looks:
        took = f" in {duration(look_s)}, {look_s / looks:.2f} s each, known ones included" if look_s else ""
        yield f"Looked up before training: latencies of {counted(looks, 'network')}{took}; the time is the search's."
    measured = [trial.seconds["measure"] for trial in story.trials if "measure" in trial.seconds]
    if measured:
        mean = duration(sum(measured) / len(measured))
        yield f"Measuring: {duration(sum(measured))} for {counted(len(measured), 'network')}, {mean} each."
    spent = [trial.seconds["train"] for trial in story.trials if "train" in trial.seconds]
    if spent:
        mean = duration(sum(spent) / len(spent))
        number = counted(len(spent), "network")
        yield f"Proxy training: {duration(sum(spent))} of workers' time for {number}, {mean} each."


def outside(story: Story) -> Iterator[str]:
    """What the front chart leaves out."""
    pruned = [t for t in story.trials if t.state is TrialState.PRUNED and t.duplicate_of is None and t.latency_ms]
    if pruned:
        slowest = max(trial.latency_ms or 0.0 for trial in pruned)
        yield (
            f"{counted(len(pruned), 'network')} measured, up to {ms(slowest)}, but not trained: slower than the limit "
            f"allows. They are strokes on the latency axis where they fall inside the chart."
        )


def command(story: Story) -> str:
    """The command line that runs the same search anew, into another study."""
    settings = story.asked
    words = ["nasfit", "search" if story.detectors is None else "search-detector"]
    if not settings.data.startswith("-"):
        words.append(settings.data)
    if story.settings.front_from_ms is None:
        words += ["--target-ms", f"{settings.target_ms!r}"]
    else:
        words += ["--front", f"{story.settings.front_from_ms!r}", f"{settings.target_ms!r}"]
    for field in fields(settings):
        given = getattr(settings, field.name)
        if field.name in ("data", "target_ms", "front_from_ms") or given == field.default:
            continue
        if field.name == "budget_s":
            words += ["--budget", f"{given:g}s" if given == int(given) and given < 1e6 else f"{given:f}s"]
        elif given is True:
            words.append(f"--{field.name.replace('_', '-')}")
        else:
            words += [f"--{field.name.replace('_', '-')}", str(given)]
    words += ["--study", f"{story.title}-again"]
    # Click takes what follows -- as no option.
    return shlex.join(words + (["--", settings.data] if settings.data.startswith("-") else []))

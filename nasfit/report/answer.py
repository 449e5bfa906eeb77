"""What a study found, in plain words: the verdict first, then what it rests on."""

from __future__ import annotations

from nasfit.latency import NOISE_FLOOR, tied
from nasfit.objective import pareto_front
from nasfit.report.detector_answer import detector_answer
from nasfit.report.families import any_of, by_family, family, together
from nasfit.report.front_answer import front_answer
from nasfit.report.headline import GO_ON, Answer, Tile, margin, wilson
from nasfit.report.reliability import proxy_lines
from nasfit.report.story import Story
from nasfit.report.wording import interval, ms, percent, points
from nasfit.search.result import Contender, Result, gain, speedup
from nasfit.study import Trial

NOISE = f"{100 * NOISE_FLOOR:g} %"


def answer(story: Story) -> Answer:
    """The answer of any study, finished or not."""
    if story.detectors is not None:
        return detector_answer(story)
    if story.result is None:
        return _unfinished(story)
    if story.result.best is None:
        return _none(story, story.result)
    if story.settings.front_from_ms is not None:
        return front_answer(story, story.result, _doubts(story))
    return _found(story, story.result, story.result.contenders[story.result.best])


def same_speed(a: Contender, b: Contender) -> bool:
    """Whether two latencies are a tie: within 3 % of each other, or with overlapping intervals."""
    return tied((a.latency_ms, a.low_ms, a.high_ms), (b.latency_ms, b.low_ms, b.high_ms))


def ratio(slower_ms: float, faster_ms: float) -> str:
    """`1.83 times`."""
    return f"{slower_ms / faster_ms:.2f} times"


def _unfinished(story: Story) -> Answer:
    limit = f"{story.settings.target_ms:g} ms"
    leader = story.leader
    if leader is None:
        return Answer(
            "unfinished",
            f"Not finished: no trained network meets the limit of {limit} yet.",
            (),
            (GO_ON,),
            _doubts(story),
        )
    tiles = (
        Tile("Validation accuracy", percent(leader.accuracy), "after a short proxy training, not a test"),
        Tile("Latency", ms(leader.latency_ms), f"limit {limit}"),
    )
    headline = f"Not finished. Best so far: trial {leader.number}, {_pair(leader)}, within the limit of {limit}."
    told = (GO_ON, "There is no final training, test or comparison with published networks yet.")
    return Answer("unfinished", headline, tiles, told, _doubts(story))


def _none(story: Story, result: Result) -> Answer:
    limit = f"{story.settings.target_ms:g} ms"
    sentences = ["Raise --target-ms or --budget, or lower --width, and search again."]
    if result.found:
        nearest = min(result.found, key=lambda c: c.latency_ms)
        over = nearest.latency_ms / story.settings.target_ms
        text = (
            f"The fastest network trained, {nearest.name}, takes {ms(nearest.latency_ms)}, {over:.2f} times the limit"
        )
        sentences.insert(0, f"{text}, at {percent(nearest.accuracy)} test accuracy.")
    else:
        sentences.insert(0, "None of the search's networks could be trained, exported and measured.")
    return Answer("none", f"No network meets the limit of {limit}.", (), tuple(sentences), _doubts(story))


def _found(story: Story, result: Result, best: Contender) -> Answer:
    kind, verdict = _verdict(best, result.baselines, story.test_pictures)
    limit = story.settings.target_ms
    headline = f"{best.name}: {percent(best.accuracy)} test accuracy at {ms(best.latency_ms)}. {verdict}"
    tiles = [
        Tile("Test accuracy", percent(best.accuracy), _tested(best, story.test_pictures)),
        Tile("Latency", ms(best.latency_ms), f"{interval(best.low_ms, best.high_ms)} (95 %), limit {limit:g} ms"),
        *_against(best, result.baselines),
    ]
    sentences = [_speed_words(best, result.baselines), _gain_words(best, result.baselines, story.test_pictures)]
    if not result.baselines:
        sentences = ["No published network could be trained beside it, so there is nothing to compare with."]
    sentences += _apart(best, result.baselines)
    sentences += [_passed_over(first, limit) for first in result.found[: result.found.index(best)]]
    if best.fp32_accuracy is not None:
        lost = points(best.accuracy - best.fp32_accuracy)
        sentences.append(f"Accuracies are those of the int8 files; quantization cost {best.name} {lost}.")
    if best.latency_ms > limit * (1 - NOISE_FLOOR):
        sentences.append(
            f"It meets the limit by {100 * (1 - best.latency_ms / limit):.1f} %, less than the {NOISE} by "
            f"which latencies differ between runs: another run may find it above."
        )
    return Answer(kind, headline, tuple(tiles), tuple(sentences), _doubts(story))


def _passed_over(first: Contender, limit_ms: float) -> str:
    """Why a network that ranked higher before the test is not the one handed over."""
    what = f"{first.name} ({percent(first.accuracy)}, {ms(first.latency_ms)}) came first in the search"
    if first.over_bounds:
        return f"{what}, but {first.over_bounds}."
    return f"{what}, but its exported file misses the limit by {100 * (first.latency_ms / limit_ms - 1):.1f} %."


def _verdict(best: Contender, baselines: tuple[Contender, ...], pictures: int | None) -> tuple[str, str]:
    """Kind and sentence; a baseline as fast within noise counts as as fast."""
    if not baselines:
        return "unclear", ""
    as_fast = [b for b in baselines if b.latency_ms <= best.latency_ms or same_speed(b, best)]
    rival = max(as_fast, key=lambda b: b.accuracy, default=None)
    if rival is not None and rival.accuracy >= best.accuracy:
        how = "as fast" if same_speed(rival, best) else "faster"
        return "worse", f"Not better than {family(rival)}: {rival.name} is {how} and at least as accurate."
    matched = _matched(best, baselines)
    if matched and matched.latency_ms > best.latency_ms and not same_speed(matched, best):
        times = ratio(matched.latency_ms, best.latency_ms)
        beaten = tuple(b for b in baselines if b.accuracy <= best.accuracy)
        return "better", f"Better than {together(beaten)}: {times} as fast at equal or better accuracy."
    if rival is None:
        return "unclear", f"Faster than every {any_of(baselines)} trained beside it, and less accurate than each."
    ahead, noise = best.accuracy - rival.accuracy, margin(best.accuracy, rival.accuracy, pictures)
    if noise is not None and ahead <= noise:
        return "unclear", f"No clear difference from {family(rival)}: {points(ahead)} is inside the noise of the test."
    return "better", f"Better than {together(baselines)} at equal latency: {points(ahead)}."


def _matched(best: Contender, baselines: tuple[Contender, ...]) -> Contender | None:
    """The baseline that `speedup` compares with."""
    front = [baselines[i] for i in pareto_front([(b.accuracy, b.latency_ms) for b in baselines])]
    return max((b for b in front if b.accuracy <= best.accuracy), key=lambda b: b.latency_ms, default=None)


def _rival(best: Contender, baselines: tuple[Contender, ...]) -> Contender | None:
    """The baseline that `gain` compares with."""
    return max((b for b in baselines if b.latency_ms <= best.latency_ms), key=lambda b: b.accuracy, default=None)


def _against(best: Contender, baselines: tuple[Contender, ...]) -> list[Tile]:
    tiles = []
    faster, matched = speedup(best, baselines), _matched(best, baselines)
    if faster is not None and matched is not None:
        text = "a tie" if same_speed(best, matched) else f"{faster:.2f}×"
        tiles.append(
            Tile(f"Speed against {any_of(baselines)}", text, f"of {matched.name}, at equal or better accuracy")
        )
    better, rival = gain(best, baselines), _rival(best, baselines)
    if better is not None and rival is not None:
        label = f"Accuracy against {any_of(baselines)}"
        tiles.append(Tile(label, points(better), f"over {rival.name}, at least as fast"))
    return tiles


def _speed_words(best: Contender, baselines: tuple[Contender, ...]) -> str:
    matched = _matched(best, baselines)
    if matched is None:
        return f"Every {any_of(baselines)} trained beside it is more accurate."
    who = f"{matched.name} ({percent(matched.accuracy)}, {ms(matched.latency_ms)})"
    tail = f"the most accurate {any_of(baselines)} that it equals or beats in accuracy"
    if any(matched.accuracy < one.accuracy <= best.accuracy for one in baselines):
        tail += " and that no other beats in both"
    tail += f" ({points(best.accuracy - matched.accuracy)})"
    if same_speed(best, matched):
        return f"As fast as {who}, {tail}: a tie within the {NOISE} noise of latencies or their intervals."
    if matched.latency_ms > best.latency_ms:
        return f"{ratio(matched.latency_ms, best.latency_ms)} as fast as {who}, {tail}."
    return f"It takes {ratio(best.latency_ms, matched.latency_ms)} as long as {who}, {tail}."


def _gain_words(best: Contender, baselines: tuple[Contender, ...], pictures: int | None) -> str:
    rival = _rival(best, baselines)
    if rival is None:
        return f"No {any_of(baselines)} trained beside it is as fast."
    ahead = best.accuracy - rival.accuracy
    text = f"{points(ahead)} against {rival.name} ({percent(rival.accuracy)}, {ms(rival.latency_ms)}), the most "
    text += f"accurate {any_of(baselines)} that is at least as fast"
    noise = margin(best.accuracy, rival.accuracy, pictures)
    if noise is None or pictures is None:
        return text + "."
    inside = "inside" if abs(ahead) <= noise else "outside"
    return f"{text}; {inside} the ±{100 * noise:.2f} points (95 %) that {pictures:,} test pictures leave open."


def _apart(best: Contender, baselines: tuple[Contender, ...]) -> list[str]:
    """The same two comparisons with each family alone, where there are several."""
    families = by_family(baselines)
    told = []
    for name, members in families.items() if len(families) > 1 else ():
        matched, rival = _matched(best, members), _rival(best, members)
        speed = "every width is more accurate"
        if matched is not None:
            times = "as fast" if same_speed(best, matched) else f"{ratio(matched.latency_ms, best.latency_ms)} as fast"
            speed = f"{times} as {matched.name} at equal or better accuracy"
        accuracy = "no width is as fast"
        if rival is not None:
            accuracy = f"{points(best.accuracy - rival.accuracy)} over {rival.name}, at least as fast"
        told.append(f"Against {name} alone: {speed}; {accuracy}.")
    return told


def _tested(best: Contender, pictures: int | None) -> str:
    if not pictures:
        return "tested once"
    low, high = wilson(round(best.accuracy * pictures), pictures)
    return f"{100 * low:.2f} to {percent(high)} (95 %), tested once, on {pictures:,} pictures"


def _pair(trial: Trial) -> str:
    return f"{percent(trial.accuracy)} validation accuracy at {ms(trial.latency_ms)}"


def _doubts(story: Story) -> tuple[str, ...]:
    """Warnings of calibration and short training, who dropped out of the finale, and the doubts of its measurement."""
    lines = [*(story.plan.lines(story.settings) if story.plan else ()), *proxy_lines(story)]
    doubts = [line.removeprefix("warning: ") for line in lines if line.startswith("warning: ")]
    if story.result:
        doubts += [f"{name} dropped out: {reason}" for name, reason in story.result.failures.items()]
        doubts += [f"{c.name}: {warning}" for c in story.result.contenders for warning in c.warnings]
        doubts += [_head_start(c) for c in story.result.contenders if c.inherited]
    return tuple(doubts)


def _head_start(contender: Contender) -> str:
    return (
        f"{contender.name} began its final training with {100 * contender.inherited:.0f} % of its parameters trained "
        f"already, the baselines with none: part of any gain over them is that head start"
    )

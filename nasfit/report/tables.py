"""The report's tables as plain rows; the template only lays them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nasfit.architecture import AnyNetwork, count_network
from nasfit.architecture.architecture import ratio_text
from nasfit.report.answer import same_speed
from nasfit.report.story import Story
from nasfit.report.wording import digits, duration, interval, millions, ms, percent, share, value
from nasfit.search.proxy_check import ProxyCheck
from nasfit.search.result import Contender, Result
from nasfit.study import Trial, TrialState

# The page stays below 1 MB.
MOST_ROWS = 1000


@dataclass(frozen=True)
class Table:
    """heads: one a column; the first column names its row. numbers: columns aligned to the right. strong: a row."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    strong: int | None = None


def comparison(result: Result) -> Table:
    """Every final network, fastest first, with its latency against the network handed over; * marks doubted ones."""
    best = None if result.best is None else result.contenders[result.best]
    order = sorted(result.contenders, key=lambda c: c.latency_ms)
    rows = tuple(
        (
            contender.name,
            percent(contender.accuracy),
            ms(contender.latency_ms) + ("*" if contender.warnings else ""),
            interval(contender.low_ms, contender.high_ms),
            *([_against(contender, best)] if best else []),
            millions(contender.parameters),
            millions(contender.madds),
        )
        for contender in order
    )
    against = [f"time of {best.name}"] if best else []
    heads = ("network", "test accuracy", "latency", "95 % interval", *against)
    return Table(
        caption=f"Trained on {result.final_images:,} pictures each by one recipe, tested once, measured in one session",
        heads=(*heads, "parameters", "multiply-adds"),
        rows=rows,
        numbers=frozenset(range(1, len(heads) + 2)),
        strong=order.index(best) if best else None,
    )


def files(result: Result) -> Table:
    """Where each final network lies, and how far its exported file is from the trained module."""
    rows = tuple(
        (c.name, c.file, c.onnx or "–", c.weights, f"{c.size_bytes / 1e6:.2f} MB", _memory(c), f"{c.parity:.1e}")
        for c in result.contenders
    )
    caption = (
        "Files in the study's directory. Memory: peak of the network alone in its engine. Parity: largest relative "
        "difference between the measured file and the trained module"
    )
    heads = ("network", "measured file", "as ONNX", "weights", "size", "memory", "parity")
    return Table(caption, heads, rows, frozenset((4, 5, 6)))


def _memory(contender: Contender) -> str:
    return "–" if contender.peak_memory_mb is None else f"{contender.peak_memory_mb:.1f} MB"


def _against(contender: Contender, best: Contender) -> str:
    if contender is best:
        return "–"
    ratio = f"{contender.latency_ms / best.latency_ms:.2f}×"
    return f"{ratio} (tie)" if same_speed(contender, best) else ratio


def blocks(network: AnyNetwork) -> Table:
    """The network part by part, with exact counts."""
    architecture = network.backbone
    named = {f"block {i}": block for i, block in enumerate(architecture.blocks, start=1)}
    rows = []
    for row in count_network(network).rows:
        block = named.get(row.part)
        words = ("–",) * 6
        if block is not None:
            ratio = ratio_text(block.se_ratio) + (" hard" if block.se_form == "hse" else "")
            words = (
                block.op,
                f"{block.kernel}×{block.kernel}",
                str(block.stride),
                ratio,
                block.skip,
                str(block.layers),
            )
        elif row.part == "stem":
            words = ("conv", "3×3", str(architecture.stem_stride), "0", "none", "1")
        elif row.part == "head":
            words = ("conv", "1×1", "1", "0", "none", "1")
        rows.append(
            (row.part, *words, f"{row.filters:,}", f"{row.resolution} px", f"{row.parameters:,}", f"{row.madds:,}")
        )
    return Table(
        caption="Parts in order; filters and size are of the output, layers repeat with stride 1",
        heads=(
            *("part", "op", "kernel", "stride", "SE ratio", "skip", "layers"),
            *("filters", "size", "parameters", "multiply-adds"),
        ),
        rows=tuple(rows),
        numbers=frozenset((3, 4, 6, 7, 8, 9, 10)),
    )


def front(story: Story) -> Table:
    """The trials on the front, fastest first."""
    leader = story.leader
    numbers = [trial.number for trial in story.front]
    return Table(
        caption=f"Trials that no other beats in both, fastest first; validation {story.measure} after proxy training",
        heads=("trial", f"validation {story.measure}", "latency", "reward", "architecture"),
        rows=tuple((*_trial(trial), trial.architecture) for trial in story.front),
        numbers=frozenset((1, 2, 3)),
        strong=numbers.index(leader.number) if leader and leader.number in numbers else None,
    )


def trials(story: Story) -> Table:
    """All trials, or the best by reward where there are too many for a page."""
    kept: Sequence[Trial] = story.trials
    caption = "All trials in the order of proposal"
    if len(kept) > MOST_ROWS:
        best = sorted(kept, key=lambda t: float("-inf") if t.reward is None else t.reward)[-MOST_ROWS:]
        kept = sorted(best, key=lambda trial: trial.number)
        caption = f"The {MOST_ROWS:,} trials of the highest reward, of {len(story.trials):,}, in the order of proposal"
    rows = tuple(
        (*_trial(t), t.origin, t.state.value, "" if t.duplicate_of is None else f"trial {t.duplicate_of}") for t in kept
    )
    heads = ("trial", f"validation {story.measure}", "latency", "reward", "proposed by", "state", "same network as")
    return Table(caption, heads, rows, frozenset((1, 2, 3)))


def states(story: Story) -> Table:
    """How many trials ended how; networks met again are counted apart."""
    number = Counter(trial.state for trial in story.trials)
    again = Counter(trial.state for trial in story.trials if trial.duplicate_of is not None)
    meaning = {
        TrialState.COMPLETE: "trained and measured",
        TrialState.STOPPED: "measured, trained in part: the accuracy to expect at the end could not matter",
        TrialState.PRUNED: "not trained: slower than the limit allows, beyond a bound, or dropped by the screen",
        TrialState.FAILED: "could not be evaluated; reasons below",
        TrialState.RUNNING: "proposed, not finished",
    }
    rows = tuple(
        (state.value, f"{number[state]:,}", f"{again[state]:,}", words)
        for state, words in meaning.items()
        if number[state] or state is TrialState.COMPLETE
    )
    return Table("Trials by state", ("state", "trials", "of these met again", "meaning"), rows, frozenset((1, 2)))


def failures(story: Story) -> Table | None:
    """Reasons of the FAILED trials, the most frequent first; None without any."""
    reasons = Counter(t.reason or "no reason was kept" for t in story.trials if t.state is TrialState.FAILED)
    if not reasons:
        return None
    rows = tuple((reason, f"{number:,}") for reason, number in reasons.most_common(20))
    return Table("Why trials failed", ("reason", "trials"), rows, frozenset((1,)))


def promotions(story: Story) -> Table | None:
    """The promoted networks: accuracy of the short and of the longer training; None without any."""
    trained = {trial.architecture: trial for trial in story.complete}
    pairs = [(trained[text], accuracy) for text, accuracy in story.promotions.items() if text in trained]
    if not pairs:
        return None
    rows = tuple(
        (f"trial {trial.number}", percent(trial.accuracy), percent(accuracy), ms(trial.latency_ms))
        for trial, accuracy in sorted(pairs, key=lambda pair: -pair[1])
    )
    heads = ("network", "after proxy training", "after promotion", "latency")
    caption = "Promotion: the best trials under the limit, trained longer with another seed; validation accuracy"
    return Table(caption, heads, rows, frozenset((1, 2, 3)))


def proxies(check: ProxyCheck) -> Table:
    """Accuracy after the short and after the full training of each final network, the most accurate first."""
    rows = tuple(
        (pair.name, percent(pair.proxy), percent(pair.full)) for pair in sorted(check.pairs, key=lambda p: -p.full)
    )
    heads = ("network", "short training, validation", "full training, test")
    return Table("Short training against full training", heads, rows, frozenset((1, 2)))


def costs(story: Story) -> Table:
    """Seconds by kind of work, and what one worker spent on trials."""
    total = sum(story.seconds.values())
    rows = [(kind, duration(s), share(s / total) if total else "–") for kind, s in story.seconds.items()]
    if rows:
        rows.append(("total", duration(total), "100 %"))
    return Table("Time passed by kind of work", ("work", "time", "share"), tuple(rows), frozenset((1, 2)))


def facts(caption: str, values: dict[str, object]) -> Table:
    """Names and values as they are."""
    rows = tuple((name.replace("_", " "), _plain(fact)) for name, fact in values.items())
    return Table(caption, ("what", "value"), rows)


def _trial(trial: Trial) -> tuple[str, ...]:
    return str(trial.number), percent(trial.accuracy), ms(trial.latency_ms), value(trial.reward)


def _plain(fact: object) -> str:
    if fact is None:
        return "not told"
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return digits(fact) if isinstance(fact, float) else str(fact)

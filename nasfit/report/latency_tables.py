"""Tables of the final measurement: how the latency of each network was arrived at, and where its time goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nasfit.architecture import AnyNetwork
from nasfit.latency import Measurement
from nasfit.latency.doubts import drift
from nasfit.latency.measurement import times
from nasfit.latency.part_times import PartTimes
from nasfit.report.architecture_drawing import drawn_parts
from nasfit.report.tables import Table
from nasfit.report.wording import MINUS, digits, interval, ms, percent, share


def measurements(latencies: Mapping[str, Measurement]) -> Table:
    """Fastest network first."""
    rows = tuple(
        (
            name,
            f"{len(one.wall_samples_ms)} × {one.runs_per_sample}",
            share(one.clean_share),
            ms(one.minimum_ms),
            ms(one.latency_ms),
            interval(one.low_ms, one.high_ms),
            ms(one.median_ms),
            _signed(drift(times(one.samples, one.statistic))),
            "–" if one.probe_factor is None else f"{one.probe_factor:.2f}",
        )
        for name, one in sorted(latencies.items(), key=lambda item: item[1].latency_ms)
    )
    heads = ("network", "samples × runs", "clean", "minimum", "latency", "95 % interval", "median", "drift", "probe")
    return Table(
        "The latency is the lower quartile of the clean samples. Drift: second half against first half. Probe: what "
        "memory took during the measurement, over its best",
        heads,
        rows,
        frozenset(range(1, len(heads))),
    )


def how_measured(latencies: Mapping[str, Measurement]) -> Iterator[str]:
    """What the samples are, in a sentence or two."""
    for one in list(latencies.values())[:1]:
        processes = "one process" if one.processes == 1 else f"{one.processes} fresh processes, one after the other,"
        yield (
            f"All networks were sampled in turn, in shuffled rounds, in {processes} of {one.engine}. A sample is the "
            f"mean {one.statistic} of inferences of batch 1 back to back; it is clean where nothing disturbed it."
        )
    doubted = [name for name, one in latencies.items() if one.warnings]
    if doubted:
        yield f"There are doubts about {', '.join(doubted)}: see the answer."


def parts(network: AnyNetwork, times_: PartTimes) -> Table:
    """The picture of the network as a table."""
    madds = {part.name: part.madds_share for part in drawn_parts(network)}
    rows = tuple(
        (
            part.name,
            ms(part.ms),
            f"{digits(part.low_ms, 0)} to {digits(part.high_ms, 0)} ms",
            percent(times_.share(part)),
            percent(madds[part.name]),
        )
        for part in times_.parts
    )
    heads = ("part", "time", "95 % interval", "share of time", "of multiply-adds")
    return Table("Time and multiply-adds of each part", heads, rows, frozenset((1, 2, 3, 4)))


def where_time_goes(network: AnyNetwork, times_: PartTimes) -> str:
    """The costliest part, and how the shares were arrived at."""
    most = max(times_.parts, key=lambda part: part.ms)
    madds = {part.name: part.madds_share for part in drawn_parts(network)}[most.name]
    return (
        f"{_named(most.name)} takes the largest share of the time, {share(times_.share(most))}, with {share(madds)} of "
        f"the multiply-adds. Measured on the device: the network was cut after each part, and all cuts were timed in "
        f"turn, in one session; a part's time is that of the cut after it less that of the cut before. The whole took "
        f"{ms(times_.whole_ms)} there."
    )


def _named(part: str) -> str:
    return part.capitalize() if part.startswith("block") else f"The {part}"


def _signed(change: float) -> str:
    return f"{100 * change:+.1f} %".replace("-", MINUS)

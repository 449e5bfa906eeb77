"""The parts of the benchmark of strategies: which searches each needs, its figures, and their table.

Figures are quartiles over seeds, in a row of JSON that says its seeds and samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from strategies_cases import (
    Case,
    Part,
    Row,
    Sizes,
    cell,
    chosen_gap_percent,
    gap_percent,
    markdown,
    quartiles,
)
from strategies_runs import COLUMNS, ZCU102, Trace, exact_front, random_points

from nasfit.objective import Front, Reward, pareto_front

TARGET_MS = 4.0
SHARE_WITHIN = 0.10
FRONT = Front(3.0, 8.0)
NOISE_POINTS = 0.5
ABS_BAND = 0.97
COLLAPSE = 200
GUIDED = ("guided", "guided-known")
OTHERS = ("evolution", "nsga2", "ppo", "ppo-paper", "random")


def _at(numbers: Iterable[int], samples: int) -> list[int]:
    return [number for number in numbers if number <= samples]


def _rewards(*, target_ms: float = TARGET_MS) -> list[Reward]:
    return [Reward(kind, target_ms) for kind in ("hard", "soft")]


def _seconds(traces: Sequence[Trace], number: int) -> dict[str, float]:
    return quartiles([trace.seconds_N[number - 1] / number for trace in traces])


# gap


def gap_cases(sizes: Sizes, seeds: int, table: Path) -> list[Case]:
    """Every strategy, with and without noise."""
    cases = []
    for noise in (0.0, NOISE_POINTS):
        for reward in _rewards():
            for name in (*GUIDED, "guided-no-blocks", "guided-known-no-blocks", *OTHERS):
                if noise and "no-blocks" in name:
                    continue
                samples = sizes.gap_guided if name.startswith("guided") else sizes.gap[-1]
                cases.append(Case("gap", name, reward, samples, seeds, noise=noise))
    return cases


def gap_figures(case: Case, traces: Sequence[Trace], sizes: Sizes, table: Path) -> Row:
    """Gaps at the numbers of samples, and along the way for the plot."""
    numbers = _at(sizes.gap, case.samples)
    gap_RN = np.array([gap_percent(case, trace, table) for trace in traces])
    curve = sorted({*numbers, *_at(np.geomspace(10, case.samples, 24).round(-1).astype(int).tolist(), case.samples)})
    figures: Row = {
        "gap_percent": {str(number): quartiles(gap_RN[:, number - 1]) for number in numbers},
        "curve": {str(number): quartiles(gap_RN[:, number - 1]) for number in curve},
        "seconds_per_trial": _seconds(traces, case.samples),
    }
    if case.noise:
        chosen_RN = np.array([chosen_gap_percent(case, trace, table) for trace in traces])
        figures["chosen_gap_percent"] = {str(number): quartiles(chosen_RN[:, number - 1]) for number in numbers}
    if "known" in case.name:
        looks = {str(number): quartiles([trace.looks_N[number - 1] for trace in traces]) for number in numbers}
        figures["looks"] = looks
    return figures


def gap_cells(row: Row) -> dict[str, str]:
    """With noise: of the sample that looked best, and of the best one."""
    figures, cells = row["figures"], {}
    for number, found in figures["gap_percent"].items():
        chosen = figures.get("chosen_gap_percent", {}).get(number)
        cells[number] = cell(found) if chosen is None else f"{cell(chosen)}; visited {found['median']:.2f}"
    cells["look-ups"] = " ".join(
        f"{number}: {found['median']:.0f}" for number, found in figures.get("looks", {}).items()
    )
    cells["ms a trial"] = f"{1e3 * figures['seconds_per_trial']['median']:.1f}"
    return cells


# columns


def column_target(table: Path, column: str) -> float:
    """The limit in ms that a random point meets with probability 0.10; the round 4 ms on ZCU102, where it does."""
    if column == ZCU102:
        return TARGET_MS
    _, latency = random_points(table, 100_000, column)
    return float(f"{np.quantile(latency, SHARE_WITHIN):.4g}")


def column_cases(sizes: Sizes, seeds: int, table: Path) -> list[Case]:
    """Every latency of the table, each with its own limit."""
    return [
        Case("columns", name, reward, sizes.columns[-1], seeds, column=column)
        for column in COLUMNS
        for reward in _rewards(target_ms=column_target(table, column))
        for name in (*GUIDED, "evolution")
    ]


def column_figures(case: Case, traces: Sequence[Trace], sizes: Sizes, table: Path) -> Row:
    """Gaps, and the probability of the limit, looked at."""
    assert isinstance(case.goal, Reward), "each column has a limit"
    gap_RN = np.array([gap_percent(case, trace, table) for trace in traces])
    _, latency = random_points(table, 100_000, case.column)
    return {
        "gap_percent": {str(number): quartiles(gap_RN[:, number - 1]) for number in sizes.columns},
        "random_within": round(float((latency <= case.goal.target_ms).mean()), 4),
    }


def column_cells(row: Row) -> dict[str, str]:
    """Gaps."""
    cells = {number: cell(found) for number, found in row["figures"]["gap_percent"].items()}
    return {"random within": f"{row['figures']['random_within']:.3f}", **cells}


# front


def front_cases(sizes: Sizes, seeds: int, table: Path) -> list[Case]:
    """Those that serve a front, and Optuna's NSGA-II, told the range and not."""
    names = (*GUIDED, "nsga2", "random", "optuna-nsga2", "optuna-nsga2-bounded")
    return [Case("front", name, FRONT, sizes.front[-1], seeds) for name in names]


def front_floors(table: Path) -> dict[str, float]:
    """Accuracies from which the area is counted: of the median random point, and the exact front's least in range."""
    accuracy, latency = exact_front(table)
    inside = (latency >= FRONT.low_ms) & (latency <= FRONT.high_ms)
    random = float(np.median(random_points(table, 10_000)[0]))
    return {"median of random": round(random, 5), "least of the front": round(float(accuracy[inside].min()), 5)}


def front_figures(case: Case, traces: Sequence[Trace], sizes: Sizes, table: Path) -> Row:
    """Area in % of the exact front's, above each floor."""
    assert isinstance(case.goal, Front), "cases of this part want the front"
    floors = front_floors(table)
    ratios: Row = {}
    for what, floor in floors.items():
        exact = case.goal.area(*exact_front(table), floor)
        ratios[what] = {}
        for number in sizes.front:
            areas = [case.goal.area(t.accuracy_N[:number], t.latency_N[:number], floor) for t in traces]
            ratios[what][str(number)] = quartiles([100 * area / exact for area in areas])
    pairs = [list(zip(t.accuracy_N[: case.samples], t.latency_N[: case.samples], strict=True)) for t in traces]
    looks = quartiles([trace.looks_N[case.samples - 1] for trace in traces])
    figures = {"floors": floors, "area_percent": ratios, "points": quartiles([len(pareto_front(p)) for p in pairs])}
    return {**figures, **({"looks": looks} if "known" in case.name else {})}


def front_cells(row: Row) -> dict[str, str]:
    """Ratios, one column a floor and number."""
    figures = row["figures"]
    cells = {
        f"{number}, floor {100 * figures['floors'][what]:.2f} %": cell(found)
        for what, ratios in figures["area_percent"].items()
        for number, found in ratios.items()
    }
    return {**cells, "look-ups": f"{figures['looks']['median']:.0f}" if "looks" in figures else ""}


# abs


def abs_cases(sizes: Sizes, seeds: int, table: Path) -> list[Case]:
    """The reward that wants the limit met exactly, at several limits."""
    rewards = [Reward("abs", target_ms) for target_ms in sizes.abs_targets]
    return [Case("abs", name, reward, sizes.abs, seeds) for reward in rewards for name in (*GUIDED, "evolution")]


def abs_figures(case: Case, traces: Sequence[Trace], sizes: Sizes, table: Path) -> Row:
    """Where the best points lie; a search without any point within the limit has missed."""
    assert isinstance(case.goal, Reward), "cases of this part want a limit"
    target = case.goal.target_ms
    ratios: dict[str, list[float]] = {"all": [], "within": []}
    accuracies = []
    for trace in traces:
        accuracy_N, latency_N = trace.accuracy_N[: case.samples], trace.latency_N[: case.samples]
        reward_N = case.goal.of(accuracy_N, latency_N)
        ratios["all"].append(float(latency_N[np.argmax(reward_N)] / target))
        within_N = np.where(latency_N <= target, reward_N, -np.inf)
        if np.isfinite(within_N).any():
            ratios["within"].append(float(latency_N[np.argmax(within_N)] / target))
            accuracies.append(100 * float(accuracy_N[np.argmax(within_N)]))
    figures: Row = {}
    for what, found in ratios.items():
        figures[f"landed_{what}"] = sum(ABS_BAND <= ratio <= 1 for ratio in found) / len(traces)
        figures[f"latency_over_target_{what}"] = quartiles(found) if found else None
    return {**figures, "accuracy_within_percent": quartiles(accuracies) if accuracies else None}


def abs_cells(row: Row) -> dict[str, str]:
    """Shares of searches, and where the median one lies."""
    figures, cells = row["figures"], {}
    for what in ("all", "within"):
        found = figures[f"latency_over_target_{what}"]
        title = "best of all" if what == "all" else "best within T"
        cells[f"{title} in [0.97 T, T]"] = f"{figures[f'landed_{what}']:.0%}"
        cells[f"{title}, latency / T"] = cell(found, 3) if found else "none"
    accuracy = figures["accuracy_within_percent"]
    return {**cells, "its top-1": cell(accuracy) if accuracy else "none"}


# tail


def tail_cases(sizes: Sizes, seeds: int, table: Path) -> list[Case]:
    """The two PPOs on a long search, evolution beside them."""
    names = ("ppo", "ppo-paper", "evolution")
    return [Case("tail", name, reward, sizes.tail[-1], seeds) for reward in _rewards() for name in names]


def tail_figures(case: Case, traces: Sequence[Trace], sizes: Sizes, table: Path) -> Row:
    """Does it still get better late, and does it still propose anything new?"""
    gap_RN = np.array([gap_percent(case, trace, table) for trace in traces])
    middle, end = gap_RN[:, sizes.tail[1] - 1], gap_RN[:, -1]
    entropies = [trace.entropy for trace in traces if trace.entropy is not None]
    return {
        "gap_percent": {str(number): quartiles(gap_RN[:, number - 1]) for number in sizes.tail},
        "improved": float(((end < middle) | (middle < 1e-9)).mean()),
        "at_optimum": float((end < 1e-9).mean()),
        "new": quartiles([trace.new_N[: case.samples][-COLLAPSE:].mean() for trace in traces]),
        "entropy": quartiles(entropies) if entropies else None,
    }


def tail_cells(row: Row) -> dict[str, str]:
    """Gaps, then the signs of a collapse."""
    figures = row["figures"]
    cells = {number: cell(found) for number, found in figures["gap_percent"].items()}
    _, middle, *_ = cells
    cells[f"better than at {middle}, or the optimum"] = f"{figures['improved']:.0%}"
    cells["at the optimum"] = f"{figures['at_optimum']:.0%}"
    cells[f"new in the last {COLLAPSE}"] = f"{figures['new']['median']:.0%}"
    return {**cells, "entropy, nats": cell(figures["entropy"]) if figures["entropy"] else ""}


# rivals


def rival_cases(sizes: Sizes, seeds: int, table: Path) -> list[Case]:
    """The hard reward, ours beside other people's."""
    ends = {
        **dict.fromkeys(GUIDED, sizes.gap_guided),
        **dict.fromkeys(("evolution", "ppo", "random"), sizes.rivals),
        **dict.fromkeys(("optuna-tpe", "optuna-tpe-independent"), sizes.tpe),
        "optuna-gp": sizes.gp,
        "optuna-nsga2": sizes.rivals,
    }
    reward = Reward("hard", TARGET_MS)
    return [
        Case("rivals", name, reward, end, min(seeds, sizes.gp_seeds) if name == "optuna-gp" else seeds)
        for name, end in ends.items()
    ]


def rival_figures(case: Case, traces: Sequence[Trace], sizes: Sizes, table: Path) -> Row:
    """Samples until the gap is 1 %; None where a quartile of the searches was not there by its end."""
    gap_RN = np.array([gap_percent(case, trace, table) for trace in traces])
    reached = [float(np.argmax(gap_N <= 1) + 1) if (gap_N <= 1).any() else np.inf for gap_N in gap_RN]
    found = np.quantile(reached, (0.25, 0.5, 0.75), method="inverted_cdf").tolist()
    at = _at((50, 100, 200, 500, 1000, 2000), case.samples) or [case.samples]
    return {
        "samples_to_1_percent": {
            what: value if np.isfinite(value) else None
            for what, value in zip(("q1", "median", "q3"), found, strict=True)
        },
        "reached": float(np.isfinite(reached).mean()),
        "gap_percent": {str(number): quartiles(gap_RN[:, number - 1]) for number in at},
        "new": quartiles([trace.new_N[: case.samples].mean() for trace in traces]),
        "seconds_per_trial": _seconds(traces, case.samples),
    }


def rival_cells(row: Row) -> dict[str, str]:
    """The number that is compared, then gaps."""
    figures = row["figures"]
    found = figures["samples_to_1_percent"]
    written = {what: f">{row['samples']}" if value is None else f"{value:.0f}" for what, value in found.items()}
    return {
        "samples to 1 %": f"{written['median']} ({written['q1']} - {written['q3']})",
        "reached it": f"{figures['reached']:.0%}",
        **{f"gap at {number}": f"{value['median']:.2f}" for number, value in figures["gap_percent"].items()},
        "new points": f"{figures['new']['median']:.0%}",
        "ms a trial": f"{1e3 * figures['seconds_per_trial']['median']:.1f}",
    }


# cost

COST_NAMES = (*GUIDED, *OTHERS, "optuna-tpe", "optuna-nsga2")
COST_HEAD = "a strategy's own ms a trial, once so many are told; median over batches of ten (Optuna: two) and seeds"


def cost_row(name: str, sizes: Sizes, seeds: int, seconds: dict[int, list[float]]) -> Row:
    """From the seconds of every batch at each number told."""
    few, many = sizes.cost
    medians = {number: float(np.median(found)) for number, found in seconds.items()}
    figures = {
        "seconds_per_trial": {str(number): quartiles(found) for number, found in seconds.items()},
        "slowest_seconds_per_trial": {str(number): max(found) for number, found in seconds.items()},
        "ratio": medians[many] / medians[few],
    }
    return {"part": "cost", "strategy": name, "seeds": seeds, "samples": many, "figures": figures}


def cost_printed(rows: Iterable[Row]) -> str:
    """Milliseconds, and how much more they are at the larger number."""
    lines = []
    for row in rows:
        figures = row["figures"]
        cells = {
            f"{number} told": cell({what: 1e3 * value for what, value in found.items()})
            for number, found in figures["seconds_per_trial"].items()
        }
        slowest = " / ".join(f"{1e3 * value:.1f}" for value in figures["slowest_seconds_per_trial"].values())
        tail = {"slowest batch": slowest, "ratio": f"{figures['ratio']:.1f}"}
        names = {"seeds": str(row["seeds"]), "samples": str(row["samples"])}
        lines.append({"strategy": row["strategy"], **cells, **tail, **names})
    return f"\n## cost: {COST_HEAD}\n\n{markdown(lines)}\n"


PARTS = {
    part.name: part
    for part in (
        Part(
            "gap",
            "gap to the optimum in % after so many samples, median (quartiles); with noise that of the sample that "
            "looked best, then that of the best one",
            gap_cases,
            gap_figures,
            gap_cells,
            ("reward", "noise_points"),
        ),
        Part(
            "columns",
            "gap in % on every latency of the table",
            column_cases,
            column_figures,
            column_cells,
            ("column", "reward", "target_ms"),
        ),
        Part(
            "front",
            f"area between {FRONT.low_ms:g} and {FRONT.high_ms:g} ms in % of the exact front's, above a floor of top-1",
            front_cases,
            front_figures,
            front_cells,
        ),
        Part(
            "abs",
            "share of searches whose best point lies just within the limit T",
            abs_cases,
            abs_figures,
            abs_cells,
            ("target_ms",),
        ),
        Part("tail", "gap in % on a long search, and signs of a collapse", tail_cases, tail_figures, tail_cells),
        Part(
            "rivals",
            "samples until the gap is 1 %, hard reward; Optuna's are asked one at a time, ours ten",
            rival_cases,
            rival_figures,
            rival_cells,
        ),
    )
}

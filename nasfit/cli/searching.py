"""`nasfit search`: runs the search, shows it live, writes the report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from nasfit.cli.interrupting import interruptible
from nasfit.cli.progress import View
from nasfit.cli.quantities import duration, megabytes, seconds
from nasfit.cli.settings_file import NOT_KEPT
from nasfit.cli.showing import conclusion
from nasfit.errors import UsageError
from nasfit.report import write_report
from nasfit.search import Finished, Planned, Settings, run_search


def run(
    settings: Settings,
    study: Path | None,
    *,
    store: str | None = None,
    ray: str | None = None,
    dry_run: bool = False,
    as_json: bool = False,
) -> None:
    """Runs or continues a search and prints what comes of it; exit code 130 when interrupted, with how to go on.

    dry_run: ends once there is a plan, and prints it.
    """
    path = study or default_study(settings)
    result = planned = None
    events = run_search(settings, path, store=store, ray=ray)
    with interruptible("trial"), closing(events), View(settings.budget_s, quiet=as_json) as view:
        for event in events:
            view.show(event)
            if dry_run and isinstance(event, Planned):
                planned = event
                break
            if isinstance(event, Finished):
                result = event.result
    if planned is not None:
        _tell_plan(path, settings, planned, as_json)
        return
    assert result is not None, "a search that ends has a result"
    page = write_report(path)
    if as_json:
        print(json.dumps({"study": str(path), "report": str(page), "result": result.as_json()}, indent=1))
    else:
        print()
        for line in conclusion(path):
            print(line)
        print(f"report    {page}")


def _tell_plan(path: Path, settings: Settings, planned: Planned, as_json: bool) -> None:
    share = planned.plan.forecast(settings)
    if as_json:
        print(json.dumps({"study": str(path), "plan": planned.plan.as_json(), "forecast": asdict(share)}, indent=1))
        return
    print(
        f"{duration(share.search_s)} of search, about {share.trials} networks trained by {share.workers} workers; "
        f"{duration(share.promotion_s)} to train the best again, {duration(share.final_s)} for final trainings"
    )
    print(f"nothing is searched by a dry run; the same command without --dry-run goes on in {path}")


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings that the options of `nasfit search` ask for. given: every option's value, by its name."""
    front_from_ms, limit_ms = limits(given["target_ms"], given["front"])
    read = {
        "target_ms": limit_ms,
        "front_from_ms": front_from_ms,
        "budget_s": seconds(given["budget"]),
        "max_size": None if given["max_size"] is None else megabytes(given["max_size"]),
        "predictor": None if given["predictor"] is None else str(given["predictor"]),
        "warm_start": None if given["warm_start"] is None else str(given["warm_start"]),
    }
    names, others = {field.name for field in fields(Settings)}, {"front", "budget", "study", "store", "ray"} | NOT_KEPT
    assert set(given) <= names | others, "every option is a setting or read here"
    return Settings(**{**{name: value for name, value in given.items() if name in names}, **read})


def limits(target_ms: float | None, front: tuple[float, float] | None) -> tuple[float | None, float]:
    """Where a front begins (None: a single limit) and the upper limit, ms. Raises UsageError unless one is given."""
    if (target_ms is None) == (front is None):
        raise UsageError(
            "give either --target-ms T, for the most accurate network within T ms, or --front LOW HIGH, for a network "
            "at every limit between two"
        )
    if front is not None:
        return front
    assert target_ms is not None, "one of the two is given"
    return None, target_ms


def default_study(settings: Settings) -> Path:
    """runs/DATA-TARGETms-seedN: the same for the same question."""
    low = "" if settings.front_from_ms is None else f"{settings.front_from_ms:g}-"
    return Path("runs") / f"{file_name(settings.data)}-{low}{settings.target_ms:g}ms-seed{settings.seed}"


def file_name(data: str) -> str:
    """What the pictures are called in the name of a study."""
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(data).name).strip("-").lower() or "pictures"

"""`nasfit search`: runs the search, shows it live, writes the report."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import closing, nullcontext, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nasfit.cli.interrupting import interruptible
from nasfit.cli.progress import View
from nasfit.cli.quantities import duration
from nasfit.cli.settings_file import NOT_KEPT
from nasfit.cli.showing import conclusion
from nasfit.report import write_report
from nasfit.search import Finished, Planned, Settings, run_search
from nasfit.search.asking import default_study
from nasfit.search.asking import settings_of as asked_settings

_NO_SETTING = {"study", "store", "ray"} | NOT_KEPT


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
    # Ray tells of lost machines on standard output, which is to hold the document alone.
    aside = redirect_stdout(sys.stderr) if as_json else nullcontext()
    with aside, interruptible("trial"), closing(events), View(settings.budget_s, quiet=as_json) as view:
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
    return asked_settings({name: value for name, value in given.items() if name not in _NO_SETTING})

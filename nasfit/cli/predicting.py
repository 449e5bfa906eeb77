"""`nasfit measure` of a whole space: build a predictor, ask one, or check what multiply-adds are worth."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nasfit.architecture import Architecture, count
from nasfit.cli.measuring import Place
from nasfit.cli.networks import Fitting, named_networks
from nasfit.cli.surveying import MeasurementFile, Survey, fitted
from nasfit.devices.engines import require_precision
from nasfit.errors import UsageError
from nasfit.latency.predictor import LEAST_ROWS, Estimate, Predictor
from nasfit.latency.predictor_file import read_predictor
from nasfit.latency.predictor_quality import Quality, held_out
from nasfit.latency.ranking import LEAST_NETWORKS, Ranking, rank_by_counts
from nasfit.latency.sampling import designed_sample
from nasfit.report.ranking_plot import madds_picture
from nasfit.search.measuring import Instrument
from nasfit.space import SearchSpace

# A designed sample of so many, then another that avoids the first: each is balanced, and any budget can be continued.
BATCH = 100
MOST = 1000
PICTURES = (".png", ".svg", ".pdf")


def build(
    place: Place, space: SearchSpace, fitting: Fitting, budget_s: float, out: Path | None, *, as_json: bool
) -> None:
    """Measures networks of the space for `budget_s`, fits a predictor, prints how good it is, and stores it.

    The measurements lie beside it, so that the same command goes on. Raises UsageError where the time was too short.
    """
    path = out or default_path(place, space)
    if path.suffix != ".json":
        raise UsageError(f"--out is {str(path)!r}; a predictor is a .json file")
    kept = path.with_suffix(".jsonl")
    survey = _survey(place, fitting, MeasurementFile(kept))
    try:
        latencies = survey.latencies(designed(space, fitting), budget_s, MOST)
    except KeyboardInterrupt:
        print(f"\nstopped; measurements are kept in {kept}, the same command goes on", file=sys.stderr)
        raise
    if len(latencies) < LEAST_ROWS:
        raise UsageError(
            f"{len(latencies)} networks were measured, and a predictor needs {LEAST_ROWS}; the same command goes on "
            f"from {kept}, or give it a longer --budget"
        )
    networks, values = list(latencies), list(latencies.values())
    print(f"fitting {len(networks)} latencies ...", file=sys.stderr)
    engine = f"{survey.description.engine}, {fitting.precision}"
    predictor = Predictor.fit(networks, values, device=survey.description.device, engine=engine)
    quality = held_out(networks, values)
    path.write_text(json.dumps(predictor.to_dict()), encoding="utf-8")
    if as_json:
        print(json.dumps({"predictor": str(path), "measurements": str(kept), "held_out": asdict(quality)}, indent=1))
        return
    for line in quality_lines(quality):
        print(line)
    print(f"predictor     {path}\nmeasurements  {kept}")
    print(f"estimate with: nasfit measure mnasnet-a1 --predictor {path}")


def designed(space: SearchSpace, fitting: Fitting) -> Iterator[Architecture]:
    """A stream of different networks, each hundred of them balanced over options and multiply-adds."""
    taken: list[tuple[int, ...]] = []
    while len(taken) < MOST:
        batch = designed_sample(
            space.option_counts,
            BATCH,
            cost=lambda tokens: float(count(fitted(space, tokens, fitting)).madds),
            seed=len(taken),
            avoid=frozenset(taken),
        )
        taken += batch
        yield from (fitted(space, tokens, fitting) for tokens in batch)


def quality_lines(quality: Quality) -> Iterator[str]:
    """The quality in words."""
    yield f"estimated against measured, {quality.networks} networks, each held out once:"
    yield f"  error (root mean square)  {quality.rmse_ms:.3g} ms, {quality.rmse_share:.1%}"
    yield f"  off by at most 5 %, 10 %  {quality.within_5:.0%}, {quality.within_10:.0%} of the networks"
    yield f"  order                     Kendall {quality.kendall:.3f}, Spearman {quality.spearman:.3f}"
    yield f"  95 % intervals            hold {quality.coverage:.0%}, {quality.width:.0%} of the latency wide"


def default_path(place: Place, space: SearchSpace) -> Path:
    """predictor-DEVICE-ENGINE-SPACE.json."""
    words = "-".join(("predictor", place.device, place.engine, space.name))
    return Path(re.sub(r"[^A-Za-z0-9.]+", "-", words) + ".json")


def estimate(texts: Sequence[str], path: Path, fitting: Fitting, *, as_json: bool) -> None:
    """Prints a predictor's estimates; exit code 2 where it has none for any network. Nothing is measured."""
    if not texts:
        raise UsageError("no network is named; try: nasfit measure mnasnet-a1 --predictor FILE.json")
    predictor = read_predictor(path)
    named = named_networks(texts, fitting, "litert")
    results: dict[str, Estimate | str] = {}
    for network in named:
        if network.architecture is None:
            raise UsageError(f"{network.text} is a file; a predictor needs an architecture: a name or a text form")
        try:
            (results[network.text],) = predictor.predict([network.architecture])
        except UsageError as error:
            results[network.text] = str(error)
    if as_json:
        print(json.dumps(_estimated(predictor, results), indent=1))
    else:
        width = max(len(network.label) for network in named)
        for network in named:
            print(f"{network.label:<{width}}  {_told(results[network.text])}")
        print(f"\nestimated for {predictor.device}, {predictor.engine}; not measured")
    if not any(isinstance(result, Estimate) for result in results.values()):
        sys.exit(2)


def _told(result: Estimate | str) -> str:
    return str(result) if isinstance(result, Estimate) else f"not estimated: {result}"


def _estimated(predictor: Predictor, results: dict[str, Estimate | str]) -> dict[str, Any]:
    networks = {
        text: asdict(result) if isinstance(result, Estimate) else {"failed": result} for text, result in results.items()
    }
    return {"networks": networks, "device": predictor.device, "engine": predictor.engine}


def check_madds(
    place: Place, space: SearchSpace, fitting: Fitting, budget_s: float, picture: Path | None, *, as_json: bool
) -> None:
    """Measures random networks of the space and prints how well counts rank them.

    Random ones, since the question is about the space as it is. Raises UsageError where the time was too short.
    """
    if picture is not None and (picture.suffix not in PICTURES or not picture.absolute().parent.is_dir()):
        raise UsageError(f"--picture is {str(picture)!r}; name a {' or '.join(PICTURES)} file in a folder that exists")
    survey = _survey(place, fitting, {})
    latencies = survey.latencies(at_random(space, fitting), budget_s, MOST)
    if len(latencies) < LEAST_NETWORKS:
        raise UsageError(
            f"{len(latencies)} networks were measured, and a ranking needs {LEAST_NETWORKS}; give a longer --budget"
        )
    counts = [count(network) for network in latencies]
    ranking = rank_by_counts(
        [counted.madds for counted in counts],
        [counted.parameters for counted in counts],
        list(latencies.values()),
    )
    if picture is not None:
        madds_picture(ranking, picture, device=survey.description.device)
    if as_json:
        device, engine = survey.description.device, survey.description.engine
        print(json.dumps({**_without_nan(ranking.to_dict()), "device": device, "engine": engine}, indent=1))
        return
    for line in ranking_lines(ranking):
        print(line)
    print(f"on {survey.description.device}, {survey.description.engine}")


def at_random(space: SearchSpace, fitting: Fitting, seed: int = 0) -> Iterator[Architecture]:
    """Random points of the space, without end."""
    draw = random.Random(seed)
    while True:
        yield fitted(space, tuple(draw.randrange(options) for options in space.option_counts), fitting)


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no word for NaN; null stands for a correlation that does not exist."""
    plain: dict[str, Any] = json.loads(json.dumps(values), parse_constant=lambda _: None)
    return plain


def ranking_lines(ranking: Ranking) -> Iterator[str]:
    """The ranking in words, budget by budget."""
    yield str(ranking)
    if not ranking.budgets:
        yield f"too few networks for a budget, which needs {LEAST_NETWORKS}; a longer --budget measures more"
    for budget in ranking.budgets:
        yield (
            f"  {budget.low_madds / 1e6:,.0f} to {budget.high_madds / 1e6:,.0f} M multiply-adds, {budget.networks} "
            f"networks: Spearman {budget.madds.spearman:.2f}, Kendall {budget.madds.kendall:.2f}"
        )


def _survey(place: Place, fitting: Fitting, kept: Any) -> Survey:
    require_precision(place.engine, fitting.precision)
    return Survey(Instrument(place.opened(), fitting.precision), kept)

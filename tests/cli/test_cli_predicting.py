"""`nasfit measure --build-predictor`, `--predictor` and `--check-madds`, on latencies by formula."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nasfit.architecture import Architecture, adapted, count, published, scaled
from nasfit.cli.quantities import duration
from nasfit.devices import Sample, open_device
from nasfit.errors import TrialFailure, UsageError
from nasfit.latency import Measurement, measurement_key
from nasfit.latency.predictor_quality import Quality
from nasfit.search.measuring import Instrument, Measured

predicting = importlib.import_module("nasfit.cli.predicting")
surveying = importlib.import_module("nasfit.cli.surveying")

Run = Callable[..., tuple[int, str, str]]
SMALL = ("--width", 0.35, "--resolution", 24, "--classes", 10)
GROUP_S = 10.0


class Bench:
    """Measures by formula; a clock that only measuring moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.groups: list[list[str]] = []
        self.failing: set[str] = set()

    def measured(
        self,
        networks: Sequence[Architecture],
        instrument: Instrument,
        *,
        cache: MutableMapping[str, dict[str, Any]],
    ) -> dict[str, Measured]:
        self.now_s += GROUP_S
        self.groups.append([str(network) for network in networks])
        description = open_device("local").describe() if not hasattr(self, "description") else self.description
        self.description = description
        found: dict[str, Measured] = {}
        for network in networks:
            if str(network) in self.failing:
                found[str(network)] = TrialFailure("breaks")
                continue
            latency_ms = 0.1 + count(network).madds / 2e7 + 0.01 * sum(block.layers for block in network.blocks)
            result = Measurement.of([Sample(latency_ms, latency_ms, 1)] * 11, description, 1.0)
            cache[measurement_key(instrument.text(network), description.device, description.engine)] = result.to_dict()
            found[str(network)] = result
        return found


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench()
    monkeypatch.setattr(surveying, "measured", bench.measured)
    monkeypatch.setattr(predicting, "Survey", partial(surveying.Survey, clock=lambda: bench.now_s))
    monkeypatch.chdir(tmp_path)
    yield bench


def test_a_predictor_is_built_goes_on_and_estimates(run: Run, bench: Bench) -> None:
    build = ("measure", "--build-predictor", "--space", "mnasnet", *SMALL, "--out", "phone.json", "--budget")
    code, out, err = run(*build, "15s")
    assert (code, out) == (2, "")
    assert "16 networks were measured, and a predictor needs 30; the same command goes on from phone.jsonl" in err
    kept = Path("phone.jsonl").read_text()
    Path("phone.jsonl").write_text(kept[:-20])
    code, out, _ = run(*build, "45s", "--json")
    document = json.loads(out)
    assert code == 0
    assert [len(group) for group in bench.groups] == [16] * 5, "15 s are time for one group, 45 s for four more"
    cut = bench.groups[0][-1]
    assert cut in bench.groups[1], "the line that was cut off is measured again"
    assert not set(bench.groups[0][:-1]) & {name for group in bench.groups[1:] for name in group}
    assert document["held_out"]["networks"] == 79
    assert document["held_out"]["spearman"] > 0.9

    network = adapted(scaled(published("mnasnet-a1"), 0.35), resolution=24, channels=3, classes=10)
    code, out, _ = run("measure", "mnasnet-a1", "mobilenet-v2", *SMALL, "--predictor", "phone.json", "--json")
    told = json.loads(out)["networks"]
    truth_ms = 0.1 + count(network).madds / 2e7 + 0.01 * sum(block.layers for block in network.blocks)
    assert code == 0
    assert told["mnasnet-a1"]["how"] == "estimated"
    assert told["mnasnet-a1"]["latency_ms"] == pytest.approx(truth_ms, rel=0.1)
    assert "relu6" in told["mobilenet-v2"]["failed"]
    text = run("measure", "mnasnet-a1", *SMALL, "--predictor", "phone.json")[1]
    assert " ms estimated (" in text and "not measured" in text
    assert run("measure", "mobilenet-v2", *SMALL, "--predictor", "phone.json")[0] == 2


def test_a_predictors_quality_is_told_in_words() -> None:
    quality = Quality(79, 0.1, 0.02, 0.9, 1.0, 0.95, 0.99, 0.94, 0.12)
    text = "\n".join(predicting.quality_lines(quality))
    assert "79 networks, each held out once" in text
    assert "2.0%" in text and "90%, 100% of the networks" in text and "hold 94%, 12% of the latency wide" in text


def test_madds_are_checked_on_random_networks(run: Run, bench: Bench) -> None:
    code, out, _ = run("measure", "--check-madds", *SMALL, "--budget", "60s", "--picture", "m.png", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["networks"] == 16 * 6
    assert document["madds"]["spearman"] > 0.8
    assert document["engine"].startswith("litert")
    assert Path("m.png").stat().st_size > 1000
    out = run("measure", "--check-madds", *SMALL, "--budget", "10s")[1]
    assert "too few networks for a budget" in out
    json.loads(run("measure", "--check-madds", *SMALL, "--budget", "10s", "--json")[1], parse_constant=pytest.fail)


def test_networks_that_fail_are_left_out(bench: Bench) -> None:
    instrument = Instrument(open_device("local"))
    survey = surveying.Survey(instrument, {})
    networks = [
        adapted(scaled(published("mnasnet-a1"), 0.1 * n), resolution=24, channels=3, classes=10) for n in (1, 5)
    ]
    bench.failing = {str(networks[0])}
    assert list(survey.latencies(iter(networks), 60.0, 10)) == [networks[1]]
    bench.failing = set(map(str, networks))
    with pytest.raises(Exception, match="no network of the first 2 runs: breaks"):
        surveying.Survey(instrument, {}).latencies(iter(networks), 60.0, 10)


def test_measurements_are_kept_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "m.jsonl"
    file = surveying.MeasurementFile(path)
    file["a"] = {"latency_ms": 1.0}
    file["a"] = {"latency_ms": 2.0}
    file["b"] = {"latency_ms": 3.0}
    assert dict(surveying.MeasurementFile(path)) == {"a": {"latency_ms": 2.0}, "b": {"latency_ms": 3.0}}
    with pytest.raises(UsageError, match="not deleted"):
        del file["a"]
    path.write_text("thesis\n" + path.read_text())
    with pytest.raises(UsageError, match=r"line 1 of .* holds no measurement"):
        surveying.MeasurementFile(path)
    assert path.read_text().startswith("thesis"), "a file of another kind is not touched"
    with pytest.raises(UsageError, match="choose another --out"):
        surveying.MeasurementFile(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--build-predictor --check-madds", "different tasks"),
        ("mnasnet-a1 --check-madds", "leave out 'mnasnet-a1'"),
        ("mnasnet-a1 --budget 3m", "--budget goes with --build-predictor or --check-madds"),
        ("mnasnet-a1 --space mnasnet", "--space goes with"),
        ("mnasnet-a1 --out x.json", "--out goes with --build-predictor"),
        ("mnasnet-a1 --picture x.png", "--picture goes with --check-madds"),
        ("--check-madds --quick", "--quick goes with networks that are measured"),
        ("--check-madds --picture x.doc", "--picture is 'x.doc'"),
        ("--check-madds --picture nowhere/x.png", "folder that exists"),
        ("--check-madds --budget soon", "'soon' is no duration"),
        ("--build-predictor --space mnasnt", "did you mean 'mnasnet'"),
        ("--build-predictor --out x.txt", "a predictor is a .json file"),
        ("--build-predictor --engine litrt", "did you mean 'litert'"),
        ("--predictor other.json", "no network is named"),
        ("mnasnet-a1 --predictor absent.json", "cannot read absent.json"),
        ("mnasnet-a1 --predictor other.json", "other.json holds no predictor"),
        ("mnasnet-a1 --predictor broken.json", "broken.json holds no predictor"),
        ("mnasnet-a1 --predictor other.json --engine onnxruntime", "asks no device"),
    ],
)
def test_refusals(run: Run, bench: Bench, arguments: str, words: str) -> None:
    Path("other.json").write_text('{"some": "thing"}')
    Path("broken.json").write_text("{broken")
    code, out, err = run("measure", *arguments.split())
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("error: ") == 1 and "Traceback" not in err
    assert not bench.groups


def test_left_time_is_told(run: Run, bench: Bench) -> None:
    err = run("measure", "--check-madds", *SMALL, "--budget", "30s")[2]
    assert f"16 networks measured, {duration(20)} left" in err

"""The evidence of the final measurement: every sample drawn, drift told, the time of each part beside its work."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nasfit.architecture import Architecture
from nasfit.devices import Description, Sample
from nasfit.latency import Measurement
from nasfit.latency.part_times import PartTimes
from nasfit.report import Story, page, story_of
from nasfit.report.architecture_drawing import drawn_parts
from nasfit.report.final_evidence import EARLIER, FinalEvidence
from nasfit.report.latency_tables import how_measured, measurements, parts, where_time_goes
from nasfit.report.samples_chart import samples_chart
from nasfit.search.documents import LATENCIES, PARTS
from nasfit.study import Study

Finished = Callable[..., Story]
DESCRIPTION = Description(
    device="a board",
    engine="litert 2.1, 1 thread",
    cpu="any",
    cores=2,
    threads=1,
    core=1,
    realtime=True,
    os="Linux",
    clock_step_ms=1e-4,
    governor=None,
    load_average=0.1,
    time="2026-01-01T00:00:00Z",
)


def measured(base_ms: float, *, second_half: float = 1.0, probe: bool = True) -> Measurement:
    """40 samples that rise by 0.1 % each within 1 %, five disturbed ones at 1.5 times the time."""
    samples = []
    for place in range(40):
        factor = (second_half if place >= 20 else 1.0) * (1 + (place % 10) / 1000)
        is_late = place % 8 == 7
        wall_ms = base_ms * factor * (1.5 if is_late else 1.0)
        samples.append(Sample(wall_ms, base_ms * factor, 16, (2.0 if is_late else 1.0) if probe else None))
    return Measurement.of(samples, DESCRIPTION, 1.0, processes=3)


@pytest.fixture
def times(finished: Finished) -> PartTimes:
    network = finished(0.86, 0.4).network
    assert network is not None
    names = [part.name for part in drawn_parts(Architecture.parse(network))]
    cuts = [(0.04 * (place + 1), 0.04 * place + 0.039, 0.04 * place + 0.041) for place in range(len(names))]
    return PartTimes.of(network, names, cuts)


def test_samples_come_back_as_they_were_taken() -> None:
    one = measured(0.4)
    assert len(one.samples) == 40 and one.samples[7].probe_ms == 2.0 and one.samples[7].runs == 16
    assert one.samples[7].wall_ms == pytest.approx(1.5 * one.samples[7].cpu_ms)
    assert {sample.probe_ms for sample in measured(0.4, probe=False).samples} == {None}
    assert replace(one, cpu_samples_ms=()).samples[0].cpu_ms is None


def test_each_sample_is_one_mark_and_disturbed_ones_are_told_apart() -> None:
    drawn = samples_chart({"slow": measured(0.8), "fast": measured(0.4)})
    assert drawn is not None and drawn.index("fast") < drawn.index("slow")
    marks = {kind: re.findall(rf'class="sample {kind}" d="([^"]+)"', drawn) for kind in ("clean", "disturbed")}
    assert [path.count("M") for path in marks["clean"]] == [35, 35]
    assert [path.count("M") for path in marks["disturbed"]] == [5, 5]
    assert "88 % clean" in drawn
    assert samples_chart({}) is None


def test_samples_far_out_stay_inside_and_are_counted() -> None:
    one = measured(0.4)
    far = replace(one, cpu_samples_ms=(4.0, *one.cpu_samples_ms[1:]))
    drawn = samples_chart({"one": far})
    assert drawn is not None and "1 beyond" in drawn
    xs = [
        float(x)
        for path in re.findall(r'class="sample \w+" d="([^"]+)"', drawn)
        for x in re.findall(r"M([\d.]+) ", path)
    ]
    assert max(xs) <= 670 and min(xs) >= 222


def test_the_table_tells_drift_and_the_order_is_that_of_speed() -> None:
    table = measurements({"warm": measured(0.8, second_half=1.05), "steady": measured(0.4)})
    assert [row[0] for row in table.rows] == ["steady", "warm"]
    assert [row[7] for row in table.rows] == ["+0.0 %", "+5.0 %"]
    assert table.rows[0][1:3] == ("40 × 16", "88 %")
    assert all(len(row) == len(table.heads) for row in table.rows)
    assert measurements({"phone": measured(0.4, probe=False)}).rows[0][-1] == "–"


def test_words_name_the_engine_and_whom_to_doubt() -> None:
    told = list(how_measured({"net": measured(0.4), "hot": replace(measured(0.4), warnings=("drift",))}))
    assert "in 3 fresh processes, one after the other, of litert 2.1, 1 thread" in told[0]
    assert "mean thread CPU time" in told[0]
    assert told[1] == "There are doubts about hot: see the answer."
    assert list(how_measured({})) == []


def test_parts_are_a_table_beside_their_multiply_adds(times: PartTimes) -> None:
    network = Architecture.parse(times.network)
    table = parts(network, times)
    assert len(table.rows) == len(network.blocks) + 2
    assert sum(float(row[3].removesuffix(" %")) for row in table.rows) == pytest.approx(100, abs=0.1)
    assert sum(float(row[4].removesuffix(" %")) for row in table.rows) == pytest.approx(100, abs=0.1)
    longest = replace(times, parts=(*times.parts[:-1], replace(times.parts[-1], ms=0.2)))
    assert where_time_goes(network, longest).startswith("The head takes the largest share of the time, ")


def test_the_page_shows_both_or_says_what_is_missing(finished: Finished, times: PartTimes) -> None:
    story = finished(0.86, 0.4)
    full = page(replace(story, final=FinalEvidence({"found-1": measured(0.4)}, times)))
    assert 'id="samples-title"' in full and "bar time" in full and "Time and multiply-adds of each part" in full
    bare = page(replace(story, final=FinalEvidence(no_parts="a cut does not run")))
    assert 'id="architecture-title"' in bare and "bar time" not in bare
    assert "Where its time goes is not known: a cut does not run." in bare
    assert "The samples of the final measurement are not kept" in bare


def test_what_the_finale_kept_is_read_from_the_study(tmp_path: Path, finished: Finished, times: PartTimes) -> None:
    story = finished(0.86, 0.4)
    assert story.result is not None
    with Study.create(tmp_path / "study", story.settings.as_json()) as study:
        study.put_document("result", story.result.as_json())
        old = story_of(study).final
        assert (old.latencies, old.parts, old.no_parts) == ({}, None, EARLIER)
        assert old.errors is None and "not at hand" in old.no_errors
        study.put_document(LATENCIES, {"found-1": measured(0.4).to_dict()})
        study.put_document(PARTS, times.as_json())
        new = story_of(study).final
        assert new.parts == times and new.latencies["found-1"].samples == measured(0.4).samples
        for document, told in (
            ({"failed": "a cut does not run"}, "a cut does not run"),
            ({**times.as_json(), "network": "other"}, "of another network"),
            ({"network": "other"}, "no times of parts"),
        ):
            study.put_document(PARTS, document)
            found = story_of(study).final
            assert found.parts is None and told in found.no_parts
        study.put_document(LATENCIES, {"found-1": {"latency_ms": 1.0}})
        assert story_of(study).final.latencies == {}

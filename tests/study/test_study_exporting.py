import csv
import json
from dataclasses import replace

import pyarrow.parquet
import pytest
from study_writer import ended

from nasfit.errors import MissingExtraError, UnknownNameError, UsageError
from nasfit.study import Proposal, Study, TrialState
from nasfit.study.exporting import FORMATS, exported


@pytest.fixture
def study(tmp_path, store):
    with Study.create(tmp_path / "study", {}) as study:
        first, second, _ = study.propose([Proposal((n, 1), f'net "{n}", x', n) for n in range(3)])
        study.measurements["0123abcd"] = {"samples_ms": [0.1 + 0.2, 1.5]}
        failed = replace(ended(second), state=TrialState.FAILED, reason="diverged,\n badly", accuracy=None, rung=None)
        study.finish([ended(first), failed])
        yield study


def test_csv(study, tmp_path):
    assert exported(study, tmp_path / "t.csv") == 3
    first, second, third = csv.DictReader((tmp_path / "t.csv").open(newline=""))
    assert first["architecture"] == 'net "0", x' and json.loads(first["tokens"]) == [0, 1]
    assert float(first["reward"]) == 0.1 + 0.2 and float(first["train_s"]) == 1.25
    assert json.loads(first["curve"]) == [[100, 0.25], [200, 1 / 7]]
    assert json.loads(first["rung"])["images"] == 80
    assert second["reason"] == "diverged,\n badly" and second["accuracy"] == second["rung"] == ""
    assert third["state"] == "running" and third["train_s"] == ""


def test_jsonl_has_the_raw_latencies(study, tmp_path):
    exported(study, tmp_path / "t.jsonl")
    first, _, third = map(json.loads, (tmp_path / "t.jsonl").read_text().splitlines())
    assert first["measurement"] == {"samples_ms": [0.1 + 0.2, 1.5]} and first["seconds"] == {
        "measure": 0.5,
        "train": 1.25,
    }
    assert first["rung"] == {"images": 80, "accuracy": 1 / 7, "below": 0.2}
    assert third["measurement"] is None and third["tokens"] == [2, 1]


def test_parquet(study, tmp_path):
    exported(study, tmp_path / "t.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [row["number"] for row in table] == [0, 1, 2]
    assert table[0]["latency_ms"] == 1 / 3 and table[2]["latency_ms"] is None


def test_parquet_without_its_library_names_the_extra(study, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"nasfit\[parquet\]"):
        exported(study, tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_trials(tmp_path, suffix):
    with Study.create(tmp_path / "empty", {}) as study:
        assert exported(study, tmp_path / f"t{suffix}") == 0
    assert (tmp_path / f"t{suffix}").exists()


@pytest.mark.parametrize("name", ["t.xls", "t", ".csv"])
def test_another_format_is_refused(study, tmp_path, name):
    with pytest.raises(UnknownNameError, match="unknown format"):
        exported(study, tmp_path / name)


def test_the_study_itself_is_not_overwritten(study):
    with pytest.raises(UsageError, match="does not start with"):
        exported(study, study.path / "study.csv")

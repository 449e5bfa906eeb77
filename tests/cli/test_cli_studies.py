"""`nasfit study`: listing and exporting."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from nasfit.cli.app import app
from nasfit.errors import StudyError, UnknownNameError
from nasfit.study import Proposal, Study, TrialState


def called(*words):
    result = CliRunner().invoke(app, ["study", *map(str, words)])
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "later").mkdir()
    for name, accuracy in (("a", 0.75), ("later/b", None)):
        with Study.create(tmp_path / name, {"data": "colours", "target_ms": 2.0}) as study:
            (trial, *_) = study.propose([Proposal((1,), "net", 0), Proposal((2,), "other", 0)])
            if accuracy:
                study.finish([replace(trial, state=TrialState.COMPLETE, accuracy=accuracy, latency_ms=1.5, reward=0.7)])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.sqlite").write_text("no study at all")
    return tmp_path


def test_every_study_has_a_line(runs):
    with Study.open(runs / "later" / "b"):
        lines = called("ls", runs).splitlines()
    assert lines[1].split()[:5] == [str(runs / "a"), "interrupted", "2", "1", "2"]
    assert lines[1].endswith("75.00 % at 1.5 ms")
    assert lines[2].startswith(str(runs / "broken")) and "damaged" in lines[2]
    assert lines[3].split()[1:5] == ["running", "2", "0", "2"] and lines[3].endswith("none yet")
    assert len(lines) == 4


def test_as_json(runs):
    first, broken, second = json.loads(called("ls", runs, "--json"))
    assert first["best"] == {"accuracy": 0.75, "latency_ms": 1.5} and first["error"] is None
    assert "damaged" in broken["error"] and second["best"] is None


def test_a_study_lists_itself_and_an_empty_place_says_so(runs, tmp_path_factory):
    assert len(called("ls", runs / "a").splitlines()) == 2
    assert "no studies in" in called("ls", tmp_path_factory.mktemp("empty"))
    with pytest.raises(StudyError, match="is no directory"):
        called("ls", runs / "nowhere")


def test_export(runs):
    assert "2 trials in" in called("export", runs / "a", runs / "t.csv")
    assert (runs / "t.csv").read_text().startswith("number,")
    assert json.loads(called("export", runs / "a", runs / "t.csv", "--json"))["trials"] == 2
    with pytest.raises(UnknownNameError, match="unknown format"):
        called("export", runs / "a", runs / "t.xls")
    with pytest.raises(StudyError, match="holds no study"):
        called("export", runs / "nowhere", runs / "t.csv")


def test_merge_and_import_say_what_is_wrong(runs):
    with pytest.raises(StudyError, match="no search that has got beyond its calibration"):
        called("merge", runs / "all", runs / "a", runs / "later" / "b")
    with pytest.raises(UnknownNameError, match="mnasnet"):
        called("import-optuna", "sqlite://", "x", runs / "new", "--space", "mnasnt")
    assert not (runs / "all").exists() and not (runs / "new").exists()


def test_an_imported_study_is_not_searched_on(tmp_path, pictures):
    with Study.create(tmp_path / "study", {}) as study:
        study.put_document("imported", {"storage": "sqlite://", "name": "x"})
    result = CliRunner().invoke(app, ["search", str(pictures), "--target-ms", "5", "--study", str(tmp_path / "study")])
    assert isinstance(result.exception, StudyError) and "--warm-start" in str(result.exception)

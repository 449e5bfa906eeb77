import sys
from dataclasses import replace

import pytest
from study_writer import ended

from nasfit.errors import MissingExtraError, StudyError, UsageError
from nasfit.space import named_space
from nasfit.study import Proposal, Study, TrialState
from nasfit.study.optuna_copy import copied_to_optuna
from nasfit.study.optuna_import import imported_from_optuna


@pytest.fixture
def study(tmp_path):
    with Study.create(tmp_path / "study", {}) as study:
        trials = study.propose([Proposal((number, 1), f"net {number}", number) for number in range(5)])
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.STOPPED)
        study.finish([replace(ended(trial), state=state) for trial, state in zip(trials, states, strict=False)])
        study.put_document("space", {"name": "mine", "options": [5, 2]})
        yield study


def test_optuna_has_the_ended_trials(study, tmp_path):
    optuna = pytest.importorskip("optuna")
    storage = f"sqlite:///{tmp_path}/optuna.db"
    assert copied_to_optuna(study, storage, "mine") == 4
    loaded = optuna.load_study(study_name="mine", storage=storage)
    assert [trial.state.name for trial in loaded.trials] == ["COMPLETE", "PRUNED", "FAIL", "PRUNED"]
    first, _, _, stopped = loaded.trials
    assert first.values == [0.5, 1 / 3] and first.params == {"d00": 0, "d01": 1}
    assert stopped.user_attrs["accuracy"] == 0.5 and stopped.user_attrs["architecture"] == "net 3"
    assert [direction.name for direction in loaded.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.number for trial in loaded.best_trials] == [0]
    with pytest.raises(StudyError, match="give another --name"):
        copied_to_optuna(study, storage, "mine")


def test_what_cannot_be_copied_is_refused(study, tmp_path):
    pytest.importorskip("optuna")
    with pytest.raises(StudyError, match="cannot use the storage"):
        copied_to_optuna(study, "nowhere://x", "mine")
    study.put_document("space", None)
    with pytest.raises(StudyError, match="does not say its space"):
        copied_to_optuna(study, f"sqlite:///{tmp_path}/o.db", "mine")


def test_without_optuna_the_extra_is_named(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"nasfit\[optuna\]"):
        copied_to_optuna(study, "sqlite://", "mine")


def test_a_copy_comes_back(tmp_path):
    pytest.importorskip("optuna")
    space = named_space("mnasnet")
    with Study.create(tmp_path / "study", {}) as study:
        points = [tuple(min(place, count - 1) for count in space.option_counts) for place in range(3)]
        trials = study.propose([Proposal(point, f"net {point}", 0, "guided") for point in points])
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)
        study.finish([replace(ended(trial), state=state) for trial, state in zip(trials, states, strict=True)])
        study.put_document("space", space.facts)
        storage = f"sqlite:///{tmp_path}/optuna.db"
        copied_to_optuna(study, storage, "mine")
        before = study.trials()
    assert imported_from_optuna(storage, "mine", tmp_path / "back", space) == 3
    with Study.open(tmp_path / "back", read_only=True) as study:
        for ours, theirs in zip(study.trials(), before, strict=True):
            for name in ("tokens", "architecture", "origin", "state", "accuracy", "latency_ms"):
                assert getattr(ours, name) == getattr(theirs, name)
        assert study.document("space") == space.facts
    with pytest.raises(StudyError, match="holds a study"):
        imported_from_optuna(storage, "mine", tmp_path / "back", space)
    with pytest.raises(UsageError, match="no point of space 'mnasnet'"):
        imported_from_optuna(storage, "mine", tmp_path / "other", replace(space, blocks=space.blocks[:-3]))
    with pytest.raises(StudyError, match="no study 'yours'"):
        imported_from_optuna(storage, "yours", tmp_path / "other", space)
    assert not (tmp_path / "other").exists()


def test_a_search_by_optuna_itself_is_imported(tmp_path):
    optuna = pytest.importorskip("optuna")
    space = named_space("mnasnet")
    storage = f"sqlite:///{tmp_path}/optuna.db"
    source = optuna.create_study(study_name="own", storage=storage, directions=["maximize", "minimize"])

    def objective(trial):
        for place, count in enumerate(space.option_counts):
            trial.suggest_int(f"d{place:02}", 0, count - 1)
        return 0.25, 2.5

    source.optimize(objective, n_trials=2)
    assert imported_from_optuna(storage, "own", tmp_path / "study", space) == 2
    with Study.open(tmp_path / "study", read_only=True) as study:
        (first, _) = study.trials()
    assert (first.accuracy, first.latency_ms, first.origin) == (0.25, 2.5, "optuna")
    assert first.architecture == str(space.decode(first.tokens))

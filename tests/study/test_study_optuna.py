import sys
from dataclasses import replace

import pytest
from study_writer import ended

from nasfit.errors import MissingExtraError, StudyError
from nasfit.study import Proposal, Study, TrialState
from nasfit.study.optuna_copy import copied_to_optuna


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

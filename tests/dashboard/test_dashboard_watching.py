"""A study is read again where it has changed, and only there; whatever happens to it, the page stays."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from made_study import made_study, one_more
from postgres_server import Server as PostgreSQL
from postgres_server import schema_of

from nasfit.dashboard import Watch
from nasfit.errors import StudyError
from nasfit.study import Member, Study


@contextmanager
def driven(path: Path, host: str, *, quiet: bool) -> Iterator[Study]:
    with Study.open(path) as study:
        study.members.join(Member("driver", host, 1, 2, drives=True, quiet=quiet))
        yield study


def test_an_unchanged_study_is_the_same_look(unfinished: Path) -> None:
    watch = Watch(unfinished)
    first = watch.look()
    assert watch.look() is first
    with Study.open(unfinished) as study:
        one_more(study)
    second = watch.look()
    assert second.number > first.number and watch.look() is second
    running = [sum(trial.finished == "" for trial in look.moment.story.trials) for look in (first, second)]
    assert running == [2, 1]


def test_beats_are_no_change(unfinished: Path) -> None:
    with driven(unfinished, "elsewhere", quiet=False) as study:
        watch = Watch(unfinished)
        first = watch.look()
        study.members.beat(study.members.all()[0])
        assert watch.look() is first


def test_a_study_that_goes_away_stays_on_the_page_with_the_reason(unfinished: Path, tmp_path: Path) -> None:
    watch = Watch(unfinished)
    first = watch.look()
    unfinished.rename(tmp_path / "away")
    lost = watch.look()
    assert lost.moment is first.moment and "holds no study" in str(lost.trouble)
    assert watch.look() is lost
    (tmp_path / "away").rename(unfinished)
    assert watch.look().trouble is None


def test_another_study_in_the_same_place_is_seen(unfinished: Path) -> None:
    watch = Watch(unfinished)
    shutil.rmtree(unfinished)
    made_study(unfinished, 20, finished=True)
    look = watch.look()
    assert look.trouble is None and len(look.moment.story.trials) == 20


def test_while_the_driver_measures_on_this_machine_nothing_is_read(unfinished: Path) -> None:
    with driven(unfinished, platform.node(), quiet=False) as study:
        watch = Watch(unfinished)
        first = watch.look()
        (me,) = study.members.all()
        study.members.beat(Member(me.name, me.host, me.pid, me.workers, True, quiet=True))
        study.add_seconds("search", 1.0)
        assert watch.look() is first
        study.members.beat(Member(me.name, me.host, me.pid, me.workers, True, quiet=False))
        assert watch.look().moment.story.seconds["search"] == 1501.0


def test_a_measurement_elsewhere_is_not_disturbed_by_reading(unfinished: Path) -> None:
    with driven(unfinished, "elsewhere", quiet=True) as study:
        watch = Watch(unfinished)
        first = watch.look()
        study.add_seconds("search", 1.0)
        assert watch.look().number > first.number


def test_members_are_those_who_live(unfinished: Path) -> None:
    now = [0.0]
    with driven(unfinished, "elsewhere", quiet=False) as study:
        watch = Watch(unfinished, lambda: now[0])
        assert [one.name for one in watch.look().moment.members] == ["driver"]
        study.members.join(Member("helper", "other", 7, 4))
        assert {one.name for one in watch.look().moment.members} == {"driver", "helper"}
        for _ in range(4):
            now[0] += 10.0
            study.members.beat(Member("helper", "other", 7, 4))
            watch.look()
        assert [one.name for one in watch.look().moment.members] == ["helper"]


def test_many_may_ask_at_once(unfinished: Path) -> None:
    watch = Watch(unfinished)
    with ThreadPoolExecutor(8) as askers:
        looks = list(askers.map(lambda _: watch.look(), range(40)))
    assert len({id(look) for look in looks}) == 1


def test_without_a_study_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="holds no study"):
        Watch(tmp_path / "nothing")
    (tmp_path / "study.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StudyError, match="damaged"):
        Watch(tmp_path)


def test_a_study_in_postgresql_is_followed_and_outlives_a_restart(tmp_path: Path, postgres: PostgreSQL) -> None:
    path = tmp_path / "study"
    made_study(path, 20, finished=False, store=f"{postgres.url}&schema={schema_of(tmp_path)}")
    watch = Watch(path)
    first = watch.look()
    assert watch.look() is first and first.moment.passing.standing == "interrupted"
    with Study.open(path):
        assert watch.look().moment.passing.standing == "running"
    with Study.open(path) as study:
        one_more(study)
    look = watch.look()
    assert (look.moment.passing.standing, len(look.moment.story.trials)) == ("interrupted", 20)
    assert sum(trial.finished == "" for trial in look.moment.story.trials) == 1
    postgres.stop()
    lost = watch.look()
    assert lost.moment is look.moment and lost.trouble
    postgres.start()
    with Study.open(path) as study:
        one_more(study)
    assert watch.look().trouble is None
    assert not [trial for trial in watch.look().moment.story.trials if trial.finished == ""]

"""Where the tables of a study are: in its directory, or in PostgreSQL, whose address the directory has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Text, func, select, type_coerce

from nasfit.errors import StudyError
from nasfit.study import database, postgres
from nasfit.study.driver_lock import locked
from nasfit.study.tables import DOCUMENTS, SECONDS, SETTINGS, TRIALS

FILES = (database.FILE, postgres.FILE)


def holds_study(directory: Path | str) -> bool:
    """Whether there is a study in the directory."""
    return any((Path(directory) / name).is_file() for name in FILES)


def require_study(directory: Path) -> None:
    """Raises StudyError where there is none."""
    if not holds_study(directory):
        raise StudyError(f"{str(directory)!r} holds no study (no {database.FILE} in it); check the path")


def create(directory: Path, store: str | None, settings: Mapping[str, Any], now: str) -> None:
    """Makes the tables, whole or not at all. store: address of a PostgreSQL database; None: in the directory."""
    if store is None:
        database.create(directory, settings, now)
        return
    url = postgres.address_of(store, directory.absolute().name)
    postgres.create(url, settings, now)
    postgres.keep_address(directory, url)


def known_elsewhere(directory: Path, store: str | None) -> bool:
    """Whether another machine has begun this study; its address is in the directory then."""
    if store is None:
        return False
    url = postgres.address_of(store, directory.absolute().name)
    if not postgres.exists(url):
        return False
    directory.mkdir(parents=True, exist_ok=True)
    postgres.keep_address(directory, url)
    return True


def require_store(directory: Path, store: str) -> None:
    """Raises StudyError where the directory's study is kept elsewhere."""
    wanted = postgres.address_of(store, directory.absolute().name)
    kept = None if in_directory(directory) else postgres.kept_address(directory)
    if kept != wanted:
        place = "its directory" if kept is None else kept.render_as_string()
        raise StudyError(
            f"study {str(directory)!r} is kept in {place}, not in {wanted.render_as_string()}; leave out --store to "
            f"continue it, or name another directory with --study"
        )


def open_to_write(directory: Path) -> Engine:
    """For the driver. Raises StudyError, and StudyBusy where one on another machine has it."""
    if in_directory(directory):
        return database.open_to_write(directory)
    return postgres.open_to_write(postgres.kept_address(directory))


def open_to_help(directory: Path) -> Engine:
    """For a helper. Raises StudyError."""
    if in_directory(directory):
        return database.open_to_help(directory)
    return postgres.open_to_read(postgres.kept_address(directory))


def open_to_read(directory: Path) -> Engine:
    """For a reader. Raises StudyError."""
    if in_directory(directory):
        return database.open_to_read(directory)
    return postgres.open_to_read(postgres.kept_address(directory))


def driven(directory: Path, connection: Connection) -> bool:
    """Whether a process drives the study at this moment, on any machine."""
    if in_directory(directory):
        return locked(directory)
    return postgres.driven(connection, postgres.kept_address(directory))


def version(connection: Connection) -> object:
    """Another value whenever another process has changed trials."""
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql("PRAGMA data_version").scalar_one()
    # Trials are added, and get their batch when they end.
    return tuple(connection.execute(select(func.count(), func.count(TRIALS.c.batch)).select_from(TRIALS)).one())


def stamp(connection: Connection) -> object:
    """Another value whenever settings, trials, documents or seconds have changed; cheap however many trials."""
    questions = [select(func.count(), func.count(TRIALS.c.batch)).select_from(TRIALS), select(SECONDS)]
    questions += [
        select(table.c.name, type_coerce(table.c.value, Text)).order_by(table.c.name) for table in (SETTINGS, DOCUMENTS)
    ]
    return hash(tuple(tuple(map(tuple, connection.execute(question))) for question in questions))


def in_directory(directory: Path) -> bool:
    """Whether the tables lie in the directory itself."""
    return (directory / database.FILE).is_file() or not (directory / postgres.FILE).is_file()

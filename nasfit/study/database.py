"""Creating, opening and checking `study.sqlite`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, select, update
from sqlalchemy.pool import StaticPool

from nasfit import __version__
from nasfit.errors import StudyError
from nasfit.study.failures import DAMAGED, told
from nasfit.study.files import flush_directory
from nasfit.study.tables import ABOUT, APPLICATION_ID, SCHEMA_VERSION, write_study
from nasfit.study.versions import look_newer, make_newer

FILE = "study.sqlite"
UNFINISHED = "study.sqlite.new"


def create(directory: Path, settings: Mapping[str, Any], now: str) -> None:
    """Write a new database; it takes its name only when complete, so a kill leaves none or a whole one."""
    unfinished = directory / UNFINISHED
    # A kill may have left the file and its journal, and SQLite would apply the one to a new other.
    for left in directory.glob(f"{UNFINISHED}*"):
        left.unlink()
    engine = _engine(unfinished, "rwc")
    with engine.begin() as connection:
        # Nobody rolls back an unfinished file, so that one flush, at the commit, is enough.
        connection.exec_driver_sql("PRAGMA journal_mode = MEMORY")
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        write_study(connection, settings, {"created": now, "nasfit": __version__})
    with engine.connect() as connection:
        _keep_log(connection, unfinished)
    engine.dispose()
    unfinished.rename(directory / FILE)
    flush_directory(directory)


def open_to_write(directory: Path) -> Engine:
    """The study's database, durable: WAL, every commit flushed to the disk. Raises StudyError."""
    path = directory / FILE
    engine = _engine(path, "rw")
    with told(path), engine.connect() as connection:
        _check(connection, path)
        _keep_log(connection, path)
        connection.exec_driver_sql("PRAGMA synchronous = FULL")
        make_newer(connection)
        older = (ABOUT.c.name == "nasfit") & (ABOUT.c.value != __version__)
        if connection.execute(select(ABOUT.c.name).where(older)).first():
            connection.execute(update(ABOUT).where(older).values(value=__version__))
            connection.commit()
    return engine


def open_to_help(directory: Path) -> Engine:
    """The study's database beside its driver, durable, of this format only. Raises StudyError."""
    path = directory / FILE
    engine = _engine(path, "rw")
    with told(path), engine.connect() as connection:
        _check(connection, path)
        connection.exec_driver_sql("PRAGMA synchronous = FULL")
        if connection.exec_driver_sql("PRAGMA user_version").scalar_one() != SCHEMA_VERSION:
            raise StudyError(f"study {str(path)!r} is driven by an older nasfit; help it with the same version")
    return engine


def open_to_read(directory: Path) -> Engine:
    """The study's database, unchanged whatever happens; also on a disk that cannot be written.

    SQLite needs to write two small files beside a database in WAL mode unless they exist. Where it cannot, the file is
    opened as immutable, which is right only with nothing left in the log. Raises StudyError.
    """
    path = directory / FILE
    log = directory / f"{FILE}-wal"
    for how in ("ro", "ro&immutable=1"):
        engine = _engine(path, how)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")
        except Exception as error:
            engine.dispose()
            cannot_open = "SQLITE_CANTOPEN" in getattr(getattr(error, "orig", error), "sqlite_errorname", "")
            if how != "ro" or not cannot_open or (log.exists() and log.stat().st_size):
                with told(path):
                    raise
            continue
        break
    with told(path), engine.connect() as connection:
        _check(connection, path)
        look_newer(connection)
    return engine


def _engine(path: Path, mode: str) -> Engine:
    address = f"file:{quote(str(path.resolve()))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, timeout=30, check_same_thread=False)

    return create_engine("sqlite://", creator=connect, poolclass=StaticPool)


def _keep_log(connection: Connection, path: Path) -> None:
    if (mode := connection.exec_driver_sql("PRAGMA journal_mode = WAL").scalar()) != "wal":
        raise StudyError(
            f"study {str(path)!r}: this disk does not support SQLite's write-ahead log (journal mode is {mode}); "
            f"put the study on a local disk"
        )


def _check(connection: Connection, path: Path) -> None:
    if connection.exec_driver_sql("PRAGMA application_id").scalar() != APPLICATION_ID:
        raise StudyError(f"{str(path)!r} is no nasfit study; name another directory with --study")
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > SCHEMA_VERSION:
        writer = connection.execute(select(ABOUT.c.value).where(ABOUT.c.name == "nasfit")).scalar()
        raise StudyError(
            f"study {str(path)!r} was written by nasfit {writer} (format {version}; this is nasfit {__version__}, "
            f"format {SCHEMA_VERSION}); install that nasfit or a newer one, or start a new study with --study"
        )
    if (found := connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()) != "ok":
        raise StudyError(f"study {str(path)!r}: {found}: {DAMAGED}")

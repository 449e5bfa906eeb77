"""Where the tables of a study are: in its directory, or in a store whose address the directory has in `study.url`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Text, func, make_url, select, type_coerce

from nasfit.errors import StudyError, UsageError
from nasfit.study import database
from nasfit.study.driver_lock import locked
from nasfit.study.files import write_whole_file
from nasfit.study.postgres import PostgresStore, address_of
from nasfit.study.store import EXTENSIONS, Store, Use
from nasfit.study.tables import DOCUMENTS, SECONDS, SETTINGS, TRIALS

ADDRESS = "study.url"
FILES = (database.FILE, ADDRESS)


def holds_study(directory: Path | str) -> bool:
    """Whether there is a study in the directory."""
    return any((Path(directory) / name).is_file() for name in FILES)


def require_study(directory: Path) -> None:
    """Raises StudyError where there is none."""
    if not holds_study(directory):
        raise StudyError(f"{str(directory)!r} holds no study (no {database.FILE} in it); check the path")


def store_at(address: str, name: str) -> Store:
    """The store that a user names for a study. address: `postgresql://...`, or of another package's kind.

    Raises UsageError, and ExtensionError where a package's does not load.
    """
    kind = address.partition(":")[0]
    if EXTENSIONS.adds(kind):
        added: Store = EXTENSIONS.make(kind, address, name)
        return added
    try:
        return PostgresStore(address_of(address, name))
    except UsageError as error:
        others = EXTENSIONS.added()
        raise UsageError(f"{error}, or an address of {', '.join(others)}" if others else str(error)) from error


def create(directory: Path, store: str | None, settings: Mapping[str, Any], now: str) -> None:
    """Makes the tables, whole or not at all. store: address of a store; None: in the directory."""
    if store is None:
        database.create(directory, settings, now)
        return
    found = store_at(store, directory.absolute().name)
    found.create(settings, now)
    _keep_address(directory, found)


def known_elsewhere(directory: Path, store: str | None) -> bool:
    """Whether another machine has begun this study; its address is in the directory then."""
    if store is None:
        return False
    found = store_at(store, directory.absolute().name)
    if not found.exists():
        return False
    directory.mkdir(parents=True, exist_ok=True)
    _keep_address(directory, found)
    return True


def require_store(directory: Path, store: str) -> None:
    """Raises StudyError where the directory's study is kept elsewhere."""
    wanted = store_at(store, directory.absolute().name).address
    kept = None if in_directory(directory) else _kept(directory).address
    if kept != wanted:
        raise StudyError(
            f"study {str(directory)!r} is kept in {kept or 'its directory'}, not in {wanted}; leave out --store to "
            f"continue it, or name another directory with --study"
        )


def open_to(use: Use, directory: Path) -> Engine:
    """For the driver, a helper or a reader. Raises StudyError, and StudyBusy where another machine drives it."""
    if not in_directory(directory):
        return _kept(directory).open(use)
    opened = {"drive": database.open_to_write, "help": database.open_to_help, "read": database.open_to_read}
    return opened[use](directory)


def driven(directory: Path, connection: Connection) -> bool:
    """Whether a process drives the study at this moment, on any machine."""
    if in_directory(directory):
        return locked(directory)
    return _kept(directory).driven(connection)


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
    return (directory / database.FILE).is_file() or not (directory / ADDRESS).is_file()


def _keep_address(directory: Path, store: Store) -> None:
    write_whole_file(directory / ADDRESS, f"{store.address}\n".encode())


def _kept(directory: Path) -> Store:
    address = (directory / ADDRESS).read_text().strip()
    kind = address.partition(":")[0]
    if kind.partition("+")[0] == "postgresql":
        return PostgresStore(make_url(address))
    if not EXTENSIONS.adds(kind):
        raise StudyError(
            f"study {str(directory)!r} is kept in {address!r}, a kind of store that a package adds; install that "
            "package here too"
        )
    added: Store = EXTENSIONS.make(kind, address, directory.absolute().name)
    return added

"""A study's tables in PostgreSQL: one schema a study, so that many machines can work on it.

The study's directory stays on the machine that made it, and has the address in `study.url`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, ProgrammingError
from sqlalchemy.pool import StaticPool

from nasfit import __version__
from nasfit.errors import MissingExtraError, StudyBusy, StudyError, UsageError
from nasfit.study.failures import told
from nasfit.study.files import write_whole_file
from nasfit.study.tables import ABOUT, METADATA, SCHEMA_VERSION, SETTINGS
from nasfit.study.versions import change_tables

FILE = "study.url"
# Beside a number of the schema's name; marks our locks among those of other programs in the same database.
LOCK_CLASS = 0x6E617366
WAIT_S = 10


def address_of(store: str, name: str) -> URL:
    """Where a study of this name lies.

    store: `postgresql://[user@]host[:port]/database`; with `?schema=` the schema has another name than the study.
    Raises UsageError; passwords are refused, since the address is kept in the study.
    """
    try:
        url = make_url(store)
    except ArgumentError as error:
        raise UsageError(f"--store {store!r} is no address; give postgresql://user@host/database") from error
    if url.get_backend_name() != "postgresql" or not url.database:
        raise UsageError(f"--store {url.render_as_string()!r}: give postgresql://user@host/database")
    if url.password is not None or not url.query.keys().isdisjoint(("password", "sslpassword")):
        raise UsageError("--store holds a password, and the study would keep it; put it into ~/.pgpass or PGPASSWORD")
    query = dict(url.query)
    schema = str(query.pop("schema", None) or _schema(name))
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise UsageError(f"--store: schema {schema!r}; give small letters, digits and _, at most 63")
    return url.set(drivername="postgresql+psycopg", query={**query, "schema": schema})


def kept_address(directory: Path) -> URL:
    """The address in a study's directory."""
    return make_url((directory / FILE).read_text().strip())


def keep_address(directory: Path, url: URL) -> None:
    """Writes it there, whole or not at all."""
    write_whole_file(directory / FILE, f"{url.render_as_string()}\n".encode())


def exists(url: URL) -> bool:
    """Whether there is a study at an address. Raises StudyError where no database answers."""
    engine = _engine(url)
    with told(_place(url)), engine.connect() as connection:
        found = _has_study(connection, url)
    engine.dispose()
    return found


def create(url: URL, settings: Mapping[str, Any], now: str) -> None:
    """Makes a study, whole or not at all. Raises StudyError where there is one, or something else of that name."""
    engine, schema = _engine(url), url.query["schema"]
    try:
        with told(_place(url)), engine.begin() as connection:
            connection.execute(text(f'CREATE SCHEMA "{schema}"'))
            METADATA.create_all(connection, checkfirst=False)
            about = {"created": now, "nasfit": __version__, "format": str(SCHEMA_VERSION)}
            connection.execute(insert(ABOUT), [{"name": name, "value": value} for name, value in about.items()])
            if settings:
                rows = [{"name": name, "value": value} for name, value in settings.items()]
                connection.execute(insert(SETTINGS), rows)
    except DBAPIError as error:
        if "already exists" in str(error.orig) or "pg_namespace_nspname_index" in str(error.orig):
            raise StudyError(f"{_place(url)} holds a study already; continue it, or name another") from error
        raise
    finally:
        engine.dispose()


def open_to_write(url: URL) -> Engine:
    """The tables, for their driver: its one connection holds a lock. Raises StudyBusy, StudyError."""
    engine = _engine(url)
    with told(_place(url)), engine.connect() as connection:
        version = _version(connection, url)
        locked = connection.execute(text("SELECT pg_try_advisory_lock(:kind, :number)"), _lock(url)).scalar()
        holder = None if locked else connection.execute(_HOLDER, _lock(url)).first()
        older = (ABOUT.c.name == "nasfit") & (ABOUT.c.value != __version__)
        if locked and version < SCHEMA_VERSION:
            change_tables(connection, version)
            connection.execute(update(ABOUT).where(ABOUT.c.name == "format").values(value=str(SCHEMA_VERSION)))
        if locked:
            connection.execute(update(ABOUT).where(older).values(value=__version__))
        connection.commit()
    if not locked:
        engine.dispose()
        where = holder[0] if holder and holder[0] else "this machine"
        raise StudyBusy(
            f"study {_place(url)} is being driven from {where}; wait for it or end it, or read along with `nasfit show`"
        )
    event.listen(engine, "do_connect", partial(_refuse, _place(url)))
    return engine


def open_to_read(url: URL) -> Engine:
    """The tables, for helpers and readers. Raises StudyError."""
    return _opened(url)


def driven(connection: Connection, url: URL) -> bool:
    """Whether a driver holds the study's lock."""
    return connection.execute(_HOLDER, _lock(url)).first() is not None


def _refuse(place: str, *_: object) -> None:
    # Another connection would not have the lock.
    raise StudyError(f"study {place}: its driver lost the connection; repeat the command, everything recorded is kept")


_HOLDER = text(
    "SELECT client_addr::text FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' "
    "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND classid = :kind AND objid = :number"
)


def _lock(url: URL) -> dict[str, int]:
    # Both are signed 32-bit numbers.
    return {"kind": LOCK_CLASS, "number": crc32(str(url.query["schema"]).encode()) & 0x7FFFFFFF}


def _opened(url: URL) -> Engine:
    engine = _engine(url)
    with told(_place(url)), engine.connect() as connection:
        version = _version(connection, url)
    if version < SCHEMA_VERSION:
        raise StudyError(
            f"study {_place(url)} is of an earlier nasfit (format {version}, this is {SCHEMA_VERSION}); continue it "
            f"once with this one, or read it with that"
        )
    return engine


def _version(connection: Connection, url: URL) -> int:
    """Format of the study. Raises StudyError where there is none, or one that is newer than this nasfit."""
    if not _has_study(connection, url):
        raise StudyError(f"{_place(url)} holds no study; check the address given to --store")
    about = {row.name: row.value for row in connection.execute(select(ABOUT))}
    version = int(about.get("format") or 0)
    if version > SCHEMA_VERSION:
        raise StudyError(
            f"study {_place(url)} was written by nasfit {about.get('nasfit')} (format {version}; this is "
            f"nasfit {__version__}, format {SCHEMA_VERSION}); install that nasfit or a newer one, or start a new study"
        )
    return version


def _has_study(connection: Connection, url: URL) -> bool:
    try:
        connection.execute(select(ABOUT.c.name).limit(1))
    except ProgrammingError:
        connection.rollback()
        return False
    return True


def _engine(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("a study in PostgreSQL", "postgres") from error
    query = {name: value for name, value in url.query.items() if name != "schema"}
    connect = {"options": f"-csearch_path={url.query['schema']}", "connect_timeout": WAIT_S}
    return create_engine(url.set(query=query), poolclass=StaticPool, connect_args=connect)


def _place(url: URL) -> str:
    """What messages call it."""
    return f"{url.database}.{url.query['schema']} on {url.host or url.query.get('host') or 'this machine'}"


def _schema(name: str) -> str:
    """A name that PostgreSQL needs no quotes for."""
    return ("nasfit_" + re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"))[:63]

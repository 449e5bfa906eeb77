"""A study's tables in PostgreSQL: one schema a study, so that many machines can work on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from zlib import crc32

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, ProgrammingError
from sqlalchemy.pool import StaticPool

from nasfit import __version__
from nasfit.errors import MissingExtraError, StudyBusy, StudyError, UsageError
from nasfit.study.failures import told
from nasfit.study.store import Use
from nasfit.study.tables import ABOUT, SCHEMA_VERSION, write_study
from nasfit.study.versions import change_tables

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


@dataclass(frozen=True)
class PostgresStore:
    """The `Store` at an address that `address_of` gave."""

    url: URL

    @property
    def address(self) -> str:
        """See `Store`."""
        return self.url.render_as_string()

    def exists(self) -> bool:
        """See `Store`."""
        engine = _engine(self.url)
        with told(_place(self.url)), engine.connect() as connection:
            found = _has_study(connection)
        engine.dispose()
        return found

    def create(self, settings: Mapping[str, Any], now: str) -> None:
        """See `Store`. Raises StudyError where there is a study, or something else of that name."""
        engine, place = _engine(self.url), _place(self.url)
        try:
            with told(place), engine.begin() as connection:
                connection.execute(text(f'CREATE SCHEMA "{self.url.query["schema"]}"'))
                about = {"created": now, "nasfit": __version__, "format": str(SCHEMA_VERSION)}
                write_study(connection, settings, about)
        except DBAPIError as error:
            if "already exists" in str(error.orig) or "pg_namespace_nspname_index" in str(error.orig):
                raise StudyError(f"{place} holds a study already; continue it, or name another") from error
            raise
        finally:
            engine.dispose()

    def open(self, use: Use) -> Engine:
        """See `Store`; the one connection of a driver holds a lock."""
        return _driving(self.url) if use == "drive" else _opened(self.url)

    def driven(self, connection: Connection) -> bool:
        """See `Store`."""
        return connection.execute(_HOLDER, _lock(self.url)).first() is not None


def _driving(url: URL) -> Engine:
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
    if not _has_study(connection):
        raise StudyError(f"{_place(url)} holds no study; check the address given to --store")
    about = {row.name: row.value for row in connection.execute(select(ABOUT))}
    version = int(about.get("format") or 0)
    if version > SCHEMA_VERSION:
        raise StudyError(
            f"study {_place(url)} was written by nasfit {about.get('nasfit')} (format {version}; this is "
            f"nasfit {__version__}, format {SCHEMA_VERSION}); install that nasfit or a newer one, or start a new study"
        )
    return version


def _has_study(connection: Connection) -> bool:
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

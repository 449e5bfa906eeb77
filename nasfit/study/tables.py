"""The tables of `study.sqlite`, and trials as rows of them.

Plain columns and JSON text, so that any SQLite tool can query a study.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import astuple
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    insert,
)
from sqlalchemy.types import TypeDecorator

from nasfit.study.trial import Rung, Trial, TrialState

# Raise by one with every change of the tables, and write the way up into `versions.py`; `about` keeps its two columns
# for ever.
SCHEMA_VERSION = 4
APPLICATION_ID = 0x6E617366  # "nasf", marks the file as a study

METADATA = MetaData()

# A connection to the study, for reading or in a transaction; errors are those of `Study`.
Opened = Callable[[], AbstractContextManager[Connection]]


class JsonText(TypeDecorator[Any]):
    """A JSON value, kept as text.

    Not SQLAlchemy's JSON: its columns have numeric affinity in SQLite, which makes 3 of 3.0 and rounds large integers.
    none_as_null: None is kept as NULL, not as the text `null`.
    """

    impl = Text
    cache_ok = True

    def __init__(self, none_as_null: bool = False) -> None:
        super().__init__()
        self.none_as_null = none_as_null

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Raises ValueError or TypeError for what JSON cannot hold, NaN and infinity included."""
        if value is None and self.none_as_null:
            return None
        return json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Raises ValueError for text that is not JSON."""
        return None if value is None and self.none_as_null else json.loads(value or "")


ABOUT = Table("about", METADATA, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))

SETTINGS = Table(
    "settings", METADATA, Column("name", Text, primary_key=True), Column("value", JsonText, nullable=False)
)

DOCUMENTS = Table(
    "documents", METADATA, Column("name", Text, primary_key=True), Column("value", JsonText, nullable=False)
)

MEASUREMENTS = Table(
    "measurements", METADATA, Column("name", Text, primary_key=True), Column("value", JsonText, nullable=False)
)

SECONDS = Table("seconds", METADATA, Column("kind", Text, primary_key=True), Column("total", Float, nullable=False))

# place: from 0, in the order of looking. tokens: a point comes once.
LOOKUPS = Table(
    "lookups",
    METADATA,
    Column("place", Integer, primary_key=True),
    Column("tokens", JsonText, nullable=False, unique=True),
    Column("latency_ms", Float),
    Column("excess", Float),
    Column("reason", Text, nullable=False),
)

# Files on their way between machines that share no disk.
FILES = Table("files", METADATA, Column("name", Text, primary_key=True), Column("content", LargeBinary, nullable=False))

# place: in the order of posting. owner: name of the member that does it. outcome: NULL until it has ended.
JOBS = Table(
    "jobs",
    METADATA,
    Column("place", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("payload", JsonText, nullable=False),
    Column("timeout_s", Float),
    Column("owner", Text),
    Column("attempts", Integer, nullable=False),
    Column("outcome", JsonText(none_as_null=True)),
)

MEMBERS = Table(
    "members",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("drives", Boolean, nullable=False),
    Column("beat", Integer, nullable=False),
    Column("quiet", Boolean, nullable=False),
)

# batch, place: which call of finish() stored the trial, and where in it; both NULL while RUNNING.
TRIALS = Table(
    "trials",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("tokens", JsonText, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("seed", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("origin", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("accuracy", Float),
    Column("latency_ms", Float),
    Column("reward", Float),
    Column("reason", Text, nullable=False),
    Column("duplicate_of", Integer),
    Column("curve", JsonText, nullable=False),
    Column("rung", JsonText, nullable=False),
    Column("seconds", JsonText, nullable=False),
    Column("measurement", Text),
    Column("worker", Text, nullable=False),
    Column("versions", JsonText, nullable=False),
    Column("started", Text, nullable=False),
    Column("finished", Text, nullable=False),
    Column("batch", Integer),
    Column("place", Integer),
)


def write_study(connection: Connection, settings: Mapping[str, Any], about: Mapping[str, str]) -> None:
    """Make the tables of a new study, and fill those that are known at its start. about: of the study, by name."""
    METADATA.create_all(connection, checkfirst=False)
    connection.execute(insert(ABOUT), [{"name": name, "value": value} for name, value in about.items()])
    if settings:
        connection.execute(insert(SETTINGS), [{"name": name, "value": value} for name, value in settings.items()])


def upsert(connection: Connection, table: Table, row: dict[str, Any], merged: Callable[[Any], dict[str, Any]]) -> None:
    """Insert a row, or change the one of that primary key. merged: the new values of columns, given the row's own."""
    # Either dialect has its own; loading PostgreSQL's takes longer than reading a study.
    insert: Any = importlib.import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert
    new = insert(table).values(row)
    keys = list(table.primary_key.columns)
    connection.execute(new.on_conflict_do_update(index_elements=keys, set_=merged(new.excluded)))


# The columns before `batch`, in their order.
_FIELDS = tuple(column.name for column in TRIALS.columns if column.name not in ("batch", "place"))


def row_of(trial: Trial) -> dict[str, Any]:
    """The trial's columns, without batch and place."""
    row = {name: getattr(trial, name) for name in _FIELDS}
    row["state"] = trial.state.value
    row["rung"] = None if trial.rung is None else astuple(trial.rung)
    row["seconds"], row["versions"] = dict(trial.seconds), dict(trial.versions)
    return row


def trial_of(row: Row[Any]) -> Trial:
    """Inverse of `row_of` for a row of all columns. Raises ValueError for a row that is no trial."""
    fields: dict[str, Any] = dict(zip(_FIELDS, row, strict=False))
    fields["state"] = TrialState(fields["state"])
    fields["tokens"] = tuple(fields["tokens"])
    fields["curve"] = tuple((images, value) for images, value in fields["curve"])
    fields["rung"] = None if fields["rung"] is None else Rung(*fields["rung"])
    return Trial(**fields)

"""Studies of earlier formats: brought up to date where they may be written, else looked at as if they were.

Format 2 added the trials' rungs and the table of lookups, format 3 jobs, members and files, format 4 who trained a
trial. What an earlier one holds has none of these.
"""

from __future__ import annotations

from sqlalchemy import Connection

from nasfit.study.tables import FILES, JOBS, LOOKUPS, MEMBERS, SCHEMA_VERSION, TRIALS

# By the format that they came with: tables, and columns of trials with what an earlier trial has there.
_TABLES = {2: (LOOKUPS,), 3: (FILES, JOBS, MEMBERS)}
_COLUMNS = {2: {"rung": "'null'"}, 4: {"worker": "''"}}


def make_newer(connection: Connection) -> None:
    """Bring an SQLite file to this format, in one transaction."""
    version = _version(connection)
    if version == SCHEMA_VERSION:
        return
    # Python begins no transaction before a change of tables by itself.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    change_tables(connection, version)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.commit()


def change_tables(connection: Connection, version: int) -> None:
    """From those of an earlier format to those of this."""
    for later in range(version + 1, SCHEMA_VERSION + 1):
        for table in _TABLES.get(later, ()):
            table.create(connection)
        for name, value in _COLUMNS.get(later, {}).items():
            connection.exec_driver_sql(f"ALTER TABLE trials ADD COLUMN {name} TEXT NOT NULL DEFAULT {value}")


def look_newer(connection: Connection) -> None:
    """Hide tables of an earlier format behind temporary ones of this; the file stays as it is."""
    version = _version(connection)
    if version == SCHEMA_VERSION:
        return
    # In memory: the disk may be one that cannot be written.
    connection.exec_driver_sql("PRAGMA temp_store = MEMORY")
    missing: dict[str, str] = {}
    for later in range(version + 1, SCHEMA_VERSION + 1):
        for table in _TABLES.get(later, ()):
            columns = ", ".join(f"NULL AS {column.name}" for column in table.columns)
            connection.exec_driver_sql(f"CREATE TEMP VIEW {table.name} AS SELECT {columns} WHERE 0")
        missing |= _COLUMNS.get(later, {})
    there = ", ".join(column.name for column in TRIALS.columns if column.name not in missing)
    added = "".join(f", {value} AS {name}" for name, value in missing.items())
    connection.exec_driver_sql(f"CREATE TEMP VIEW trials AS SELECT {there}{added} FROM main.trials")


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())

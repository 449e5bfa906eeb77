"""Studies of earlier formats: brought up to date where they may be written, else looked at as if they were.

Format 2 added the trials' rungs and the table of lookups, format 3 jobs, members and files. What an earlier one holds
has none of these.
"""

from __future__ import annotations

from sqlalchemy import Connection

from nasfit.study.tables import FILES, JOBS, LOOKUPS, MEMBERS, SCHEMA_VERSION

_TRIALS_1 = (
    "number, tokens, architecture, seed, origin, state, accuracy, latency_ms, reward, reason, duplicate_of, curve, "
    "seconds, measurement, versions, started, finished, batch, place"
)

_LATER = (FILES, JOBS, MEMBERS)


def make_newer(connection: Connection) -> None:
    """Bring the file to this format, in one transaction."""
    version = _version(connection)
    if version == SCHEMA_VERSION:
        return
    # Python begins no transaction before a change of tables by itself.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if version < 2:
        connection.exec_driver_sql("ALTER TABLE trials ADD COLUMN rung TEXT NOT NULL DEFAULT 'null'")
        LOOKUPS.create(connection)
    for table in _LATER:
        table.create(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.commit()


def look_newer(connection: Connection) -> None:
    """Hide tables of an earlier format behind temporary ones of this; the file stays as it is."""
    version = _version(connection)
    if version == SCHEMA_VERSION:
        return
    # In memory: the disk may be one that cannot be written.
    connection.exec_driver_sql("PRAGMA temp_store = MEMORY")
    for table in _LATER:
        columns = ", ".join(f"NULL AS {column.name}" for column in table.columns)
        connection.exec_driver_sql(f"CREATE TEMP VIEW {table.name} AS SELECT {columns} WHERE 0")
    if version == 2:
        return
    connection.exec_driver_sql(f"CREATE TEMP VIEW trials AS SELECT {_TRIALS_1}, 'null' AS rung FROM main.trials")
    connection.exec_driver_sql(
        "CREATE TEMP VIEW lookups AS "
        "SELECT NULL AS place, NULL AS tokens, NULL AS latency_ms, NULL AS excess, NULL AS reason WHERE 0"
    )


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())

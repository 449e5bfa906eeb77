"""Studies of earlier formats: brought up to date where they may be written, else looked at as if they were.

Format 2 added the trials' rungs and the table of lookups; what format 1 holds has none of either.
"""

from __future__ import annotations

from sqlalchemy import Connection

from nasfit.study.tables import LOOKUPS, SCHEMA_VERSION

_TRIALS_1 = (
    "number, tokens, architecture, seed, origin, state, accuracy, latency_ms, reward, reason, duplicate_of, curve, "
    "seconds, measurement, versions, started, finished, batch, place"
)


def make_newer(connection: Connection) -> None:
    """Bring the file to this format, in one transaction."""
    if _version(connection) == SCHEMA_VERSION:
        return
    # Python begins no transaction before a change of tables by itself.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    connection.exec_driver_sql("ALTER TABLE trials ADD COLUMN rung TEXT NOT NULL DEFAULT 'null'")
    LOOKUPS.create(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.commit()


def look_newer(connection: Connection) -> None:
    """Hide tables of an earlier format behind temporary ones of this; the file stays as it is."""
    if _version(connection) == SCHEMA_VERSION:
        return
    # In memory: the disk may be one that cannot be written.
    connection.exec_driver_sql("PRAGMA temp_store = MEMORY")
    connection.exec_driver_sql(f"CREATE TEMP VIEW trials AS SELECT {_TRIALS_1}, 'null' AS rung FROM main.trials")
    connection.exec_driver_sql(
        "CREATE TEMP VIEW lookups AS "
        "SELECT NULL AS place, NULL AS tokens, NULL AS latency_ms, NULL AS excess, NULL AS reason WHERE 0"
    )


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())

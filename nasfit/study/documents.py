"""JSON values by name, in a table of the study."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from sqlalchemy import Table, delete, func, select

from nasfit.study.tables import Opened, upsert


class Documents(MutableMapping[str, Any]):
    """Name -> JSON value. A value set is on the disk when the assignment returns; those read are copies."""

    def __init__(self, table: Table, reading: Opened, writing: Opened) -> None:
        self._table, self._reading, self._writing = table, reading, writing

    def __getitem__(self, name: str) -> Any:
        with self._reading() as connection:
            row = connection.execute(select(self._table.c.value).where(self._table.c.name == name)).first()
        if row is None:
            raise KeyError(name)
        return row[0]

    def __setitem__(self, name: str, value: Any) -> None:
        with self._writing() as connection:
            upsert(connection, self._table, {"name": name, "value": value}, lambda new: {"value": new.value})

    def __delitem__(self, name: str) -> None:
        with self._writing() as connection:
            if not connection.execute(delete(self._table).where(self._table.c.name == name)).rowcount:
                raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        with self._reading() as connection:
            return iter(list(connection.execute(select(self._table.c.name).order_by(self._table.c.name)).scalars()))

    def __len__(self) -> int:
        with self._reading() as connection:
            return int(connection.execute(select(func.count()).select_from(self._table)).scalar_one())

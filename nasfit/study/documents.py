"""JSON values by name, in a table of the study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from itertools import islice
from typing import Any

from sqlalchemy import Table, delete, func, select

from nasfit.study.tables import Opened, upsert

# Names in one question; SQLite takes 999 at least.
TOGETHER = 500


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

    def several(self, names: Iterable[str]) -> dict[str, Any]:
        """Those of the names that there are, in few questions."""
        found: dict[str, Any] = {}
        left = iter(names)
        while some := list(islice(left, TOGETHER)):
            wanted = select(self._table.c.name, self._table.c.value).where(self._table.c.name.in_(some))
            with self._reading() as connection:
                found.update({row.name: row.value for row in connection.execute(wanted)})
        return found

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

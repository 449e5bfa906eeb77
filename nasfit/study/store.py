"""The extension point: where the tables of a study are that does not keep them in its own directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Engine

from nasfit.extensions import ExtensionPoint

# Who opens a study: its driver, a helper beside it, or a reader.
Use = Literal["drive", "help", "read"]


class Store(Protocol):
    """A place for one study's tables that many machines reach; `check_store` checks every promise made here.

    It is spoken to in SQLAlchemy, in the dialect of SQLite or of PostgreSQL. Every method raises StudyError where the
    place does not answer.
    """

    @property
    def address(self) -> str:
        """What this store is made of again, whatever the study's name; the study keeps it, so it holds no password."""

    def exists(self) -> bool:
        """Whether there is a study."""

    def create(self, settings: Mapping[str, Any], now: str) -> None:
        """Makes the tables, see `write_study`, whole or not at all.

        settings: JSON values. now: the time, UTC, ISO 8601. Raises StudyError where there is a study already.
        """

    def open(self, use: Use) -> Engine:
        """The tables. A commit is durable and visible to all others when it returns.

        Raises StudyError where there is no study, and for a driver StudyBusy while another process, on any machine,
        drives it; the driver's hold ends with `Engine.dispose`, or with its process, however that ends.
        """

    def driven(self, connection: Connection) -> bool:
        """Whether a process drives the study at this moment. connection: of an engine that `open` gave."""


class StoreFactory(Protocol):
    """Makes a store; what a package's entry point in the group `nasfit.stores` refers to."""

    def __call__(self, address: str, name: str) -> Store:
        """address: as the user or the study gives it, `NAME:...` with the entry point's name. name: of a new study.

        Raises UsageError for an address that is none, or one with a password; nothing is asked or made yet.
        """


EXTENSIONS = ExtensionPoint(
    "nasfit.stores",
    "store",
    ("postgresql", "sqlite"),
    offers=("address", "exists", "create", "open", "driven"),
)
"""Those of other packages, by what stands before the colon of their addresses; each refers to a `StoreFactory`."""

"""Studies are tested on every store: SQLite, and a real PostgreSQL where its programs are installed."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from postgres_server import Server, schema_of

from nasfit.study import Study


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Where the studies that a test creates keep their tables."""
    if request.param == "sqlite":
        return None
    server = request.getfixturevalue("postgres")
    assert isinstance(server, Server)
    address = f"{server.url}&schema={schema_of(tmp_path)}"
    monkeypatch.setattr(Study, "create", partial(Study.create, store=address))
    return address

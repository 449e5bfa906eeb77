"""`nasfit dashboard`: a local page of a study."""

from __future__ import annotations

import json
import signal
from contextlib import closing, suppress
from pathlib import Path

from nasfit.dashboard import Server, Site, Watch


def run(study: Path, port: int | None, *, as_json: bool) -> None:
    """Shows the study until Ctrl-C or SIGTERM, and says where. Raises StudyError, UsageError."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt), closing(Watch(study)) as watch, Server(Site(watch), port) as server:
            told = json.dumps({"url": server.url, "study": str(study)})
            print(told if as_json else f"{server.url} shows {study}; Ctrl-C ends it", flush=True)
            server.serve_forever()
    finally:
        signal.signal(signal.SIGTERM, before)

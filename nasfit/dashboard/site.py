"""What each address answers: the pages, what has changed since, the style and the script. No sockets here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from nasfit.dashboard import pages
from nasfit.dashboard.moment import measurements_of
from nasfit.dashboard.watching import Look, Watch
from nasfit.errors import NasfitError
from nasfit.study import TrialState

HTML, CSS, JAVASCRIPT, JSON = "text/html", "text/css", "text/javascript", "application/json"
LAST = 2**63
# A page that is looked at asks again after so long, or after so many times what reading and drawing took: a tenth of
# one core at most, beside a search that may need all of them.
EVERY_S, TIMES = 5.0, 10.0


@dataclass(frozen=True)
class Reply:
    """status: of HTTP. body: text of this type, UTF-8."""

    status: int
    body: str = ""
    type: str = HTML


@dataclass(frozen=True)
class _Drawn:
    """The parts of one look. version: equal only where they are. next_s: after so long it is worth asking again."""

    look: Look
    parts: dict[str, str]
    version: str
    next_s: float


class Site:
    """The dashboard of one study. Safe from several threads. clock: seconds, from any start, that never go back."""

    def __init__(self, watch: Watch, clock: Callable[[], float] = time.monotonic) -> None:
        self._watch, self._clock, self._lock = watch, clock, Lock()
        self._drawn: _Drawn | None = None

    def reply(self, address: str) -> Reply:
        """To a GET of this path and query."""
        split = urlsplit(address)
        try:
            query = {name: values[-1] for name, values in parse_qs(split.query, max_num_fields=8).items()}
            return self._routed(split.path, query)
        except ValueError:
            return _lost(f"{address!r} asks for nothing that is here")

    def _routed(self, path: str, query: dict[str, str]) -> Reply:
        match path.strip("/").split("/"):
            case [""]:
                drawn = self._draw()
                return Reply(200, pages.page(drawn.look.moment.story, drawn.parts, drawn.version, drawn.next_s))
            case ["live"]:
                return self._live(query.get("have", ""))
            case ["trials"]:
                return self._trials(query)
            case ["trial", number] if number.isdecimal():
                return self._trial(int(number))
            case ["dashboard.css"]:
                return Reply(200, pages.style(), CSS)
            case ["dashboard.js"]:
                return Reply(200, pages.script(), JAVASCRIPT)
        return _lost(f"there is no page {path!r}")

    def _draw(self) -> _Drawn:
        with self._lock:
            since = self._clock()
            look = self._watch.look()
            if self._drawn is None or self._drawn.look.number != look.number:
                parts = pages.parts_of(look)
                version = sha256(json.dumps(parts).encode()).hexdigest()[:16]
                self._drawn = _Drawn(look, parts, version, max(EVERY_S, TIMES * (self._clock() - since)))
            return self._drawn

    def _live(self, have: str) -> Reply:
        """What has changed, or 204 where nothing has."""
        drawn = self._draw()
        if have == drawn.version:
            return Reply(204, type=JSON)
        told = {"version": drawn.version, "next_s": drawn.next_s, "parts": drawn.parts}
        return Reply(200, json.dumps(told), JSON)

    def _trials(self, query: dict[str, str]) -> Reply:
        state = TrialState(query["state"]) if query.get("state") else None
        return Reply(200, pages.trials_page(self._watch.look().moment.story, state, int(query.get("before") or LAST)))

    def _trial(self, number: int) -> Reply:
        story = self._watch.look().moment.story
        if number >= len(story.trials):
            return _lost(f"the study has no trial {number}; it has {len(story.trials):,} so far")
        trial = story.trials[number]
        try:
            known = self._watch.use(lambda study: measurements_of(study, [trial]))
            return Reply(200, pages.trial_page(story, trial, known.get(trial.measurement or "")))
        except NasfitError as error:
            return Reply(503, pages.message_page(f"trial {number} cannot be shown now", str(error)))


def _lost(words: str) -> Reply:
    return Reply(404, pages.message_page("Not here", words))

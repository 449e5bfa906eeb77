"""A process that helps a study until nobody drives it.

Its words: the study's directory, and the address of one that another machine has begun.
"""

import sys
from pathlib import Path

from nasfit.errors import StudyBusy
from nasfit.search import Settings
from nasfit.search.helping import helped
from nasfit.study import Study
from nasfit.study.stores import known_elsewhere

if __name__ == "__main__":
    path = Path(sys.argv[1])
    if len(sys.argv) > 2:
        known_elsewhere(path, sys.argv[2])
    with Study.open(path, read_only=True) as study:
        settings = Settings(**{**study.settings, "workers": 1})
    for event in helped(settings, path, ("workers",), StudyBusy("driven")):
        print(getattr(event, "text", "news"), flush=True)

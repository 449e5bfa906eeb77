"""A process that helps a study until nobody drives it."""

import sys
from pathlib import Path

from nasfit.errors import StudyBusy
from nasfit.search import Settings
from nasfit.search.helping import helped
from nasfit.study import Study

if __name__ == "__main__":
    path = Path(sys.argv[1])
    with Study.open(path, read_only=True) as study:
        settings = Settings(**{**study.settings, "workers": 1})
    for event in helped(settings, path, ("workers",), StudyBusy("driven")):
        print(event.text, flush=True)

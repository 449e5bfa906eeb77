"""The report and the dashboard as browsers meet them: what is wrong with a page, how large it is, how long it takes.

    python benchmarks/pages.py                 # studies of 60 and 8,000 made-up trials: two minutes
    python benchmarks/pages.py --quick --json  # 60 and 500, light and wide only
    python benchmarks/pages.py --study runs/demo

Each page is opened in headless Chromium, in light and dark, 1,400 and 390 px wide. Wrong is: a request to anywhere
else, a message in the console, whatever axe-core finds (WCAG 2.2 A and AA, headings, names, roles, contrast of 4.5, 3
for large text), drawn text below that contrast, a link, summary or scrolled region that the keyboard does not reach or
that does not show it, a page wider than the window. Printed: faults, size, and seconds of one core to make the page
first, and after one trial more. Needs Chromium, playwright and axe-playwright-python (the extra `dev`). Ends with 1
where anything is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Thread

from facts import document
from made_study import made_study, one_more
from page_checks import SCHEMES, WIDTHS, browser_here, chromium, faults

from nasfit.dashboard import Server, Site, Watch
from nasfit.report import write_report
from nasfit.study import Study


@dataclass(frozen=True)
class Row:
    """One page. first_s: of one core, from nothing to its text. again_s: after a change; None where there is none."""

    page: str
    study: str
    trials: int
    size_bytes: int
    first_s: float
    again_s: float | None
    faults: tuple[str, ...]


def main() -> None:
    """Makes the studies, opens their pages, prints a line for each."""
    options = _options()
    if browser_here() is None:
        sys.exit("error: no Chromium is installed; install it (Debian: apt-get install chromium)")
    rows = []
    with redirect_stdout(sys.stderr) if options.json else nullcontext(), tempfile.TemporaryDirectory() as place:
        print(f"{'page':<12}{'study':<14}{'trials':>8}{'kB':>8}{'first s':>9}{'again s':>9}{'faults':>8}")
        for row in _rows(options, Path(place)):
            rows.append(row)
            again = "-" if row.again_s is None else f"{row.again_s:.2f}"
            figures = f"{row.size_bytes / 1000:>8.0f}{row.first_s:>9.2f}{again:>9}{len(row.faults):>8}"
            print(f"{row.page:<12}{row.study:<14}{row.trials:>8,}{figures}", flush=True)
            for fault in row.faults:
                print(f"  {fault}")
    if options.json:
        print(document(options, rows=[*map(asdict, rows)]))
    sys.exit(any(row.faults for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, help="check the pages of this study, and make none")
    parser.add_argument("--trials", type=int, default=8_000, help="of the large study")
    parser.add_argument("--quick", action="store_true", help="500 trials; light and wide only")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.trials = 500
    return options


def _rows(options: argparse.Namespace, place: Path) -> Iterator[Row]:
    readers = (SCHEMES[:1], WIDTHS[:1]) if options.quick else (SCHEMES, WIDTHS)
    with chromium() as browser:

        def faults_of(url: str) -> tuple[str, ...]:
            return tuple(faults(browser, url, *readers))

        if options.study is not None:
            yield from _dashboard(options.study, "as given", faults_of, grows=False)
            return
        for name, trials, finished in (
            ("unfinished", 60, False),
            ("finished", 60, True),
            ("large", options.trials, False),
        ):
            path, finished = place / name, name == "finished"
            made_study(path, trials, finished=finished)
            yield _report(path, name, trials, faults_of)
            yield from _dashboard(path, name, faults_of, grows=not finished)


def _report(path: Path, name: str, trials: int, faults_of: Callable[[str], tuple[str, ...]]) -> Row:
    since = time.process_time()
    page = write_report(path)
    took_s = time.process_time() - since
    return Row("report", name, trials, page.stat().st_size, took_s, None, faults_of(page.as_uri()))


def _dashboard(path: Path, name: str, faults_of: Callable[[str], tuple[str, ...]], *, grows: bool) -> Iterator[Row]:
    since = time.process_time()
    with closing(Watch(path)) as watch:
        site = Site(watch)
        size_bytes = len(site.reply("/").body.encode())
        first_s, again_s = time.process_time() - since, None
        if grows:
            with Study.open(path) as study:
                one_more(study)
            since = time.process_time()
            site.reply("/live")
            again_s = time.process_time() - since
        number = len(watch.look().moment.story.trials)
        with _served(site) as url:
            found = faults_of(url)
            yield Row("dashboard", name, number, size_bytes, first_s, again_s, found)
            for page, address in (("trials", "/trials"), ("trial", "/trial/3")):
                since = time.process_time()
                size_bytes = len(site.reply(address).body.encode())
                took_s = time.process_time() - since
                yield Row(page, name, number, size_bytes, took_s, None, faults_of(url + address))


@contextmanager
def _served(site: Site) -> Iterator[str]:
    with Server(site, 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.url
        finally:
            server.shutdown()


if __name__ == "__main__":
    main()

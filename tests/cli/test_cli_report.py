"""`nasfit report` of a real search: everything that its finale kept is on the page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nasfit.search.documents import FINALS, LATENCIES, PARTS
from nasfit.study import Study

Run = Callable[..., tuple[int, str, str]]
Finished = tuple[Path, dict[str, Any], str]


def test_a_finished_search_has_its_evidence_on_the_page(run: Run, finished: Finished, tmp_path: Path) -> None:
    path = shutil.copytree(finished[0], tmp_path / "study")
    (path / "report.html").unlink()
    code, out, _ = run("report", path, "--json")
    told = json.loads(out)
    assert code == 0 and set(told) == {"report", "plot", "answer"}
    assert Path(told["report"]) == path / "report.html" and Path(told["plot"]).stat().st_size > 1000
    best = finished[1]["result"]["contenders"][finished[1]["result"]["best"]]
    assert told["answer"]["headline"].startswith(f"{best['name']}: {100 * best['accuracy']:.2f} % test accuracy")
    html = (path / "report.html").read_text(encoding="utf-8")
    with Study.open(path, read_only=True) as study:
        mistakes = study.document(FINALS)[best["name"]]["mistakes"]
        pictures = round(len(mistakes) / (1 - best["accuracy"])) if mistakes else None
        assert set(study.document(LATENCIES)) == {one["name"] for one in finished[1]["result"]["contenders"]}
        assert study.document(PARTS)["network"] == best["architecture"]
    if pictures:
        assert f"is right on {pictures - len(mistakes)} of {pictures} test pictures" in html
        assert html.count("<img") == min(len(mistakes), html.count(" % sure"))
    assert "Confusion matrix" in html and 'id="samples-title"' in html
    assert "bar time" in html and "takes the largest share of the time" in html


def test_a_study_of_before_says_what_it_lacks(run: Run, finished: Finished, tmp_path: Path) -> None:
    path = shutil.copytree(finished[0], tmp_path / "study")
    with Study.open(path) as study:
        finals = study.document(FINALS)
        study.put_document(FINALS, {name: {"accuracy": final["accuracy"]} for name, final in finals.items()})
        for name in (LATENCIES, PARTS):
            study.put_document(name, None)
    code, out, _ = run("report", path)
    assert code == 0 and out.strip() == str(path / "report.html")
    html = (path / "report.html").read_text(encoding="utf-8")
    assert "What the network gets wrong cannot be shown" in html
    assert "Where its time goes is not known" in html and "bar time" not in html
    assert "The samples of the final measurement are not kept" in html

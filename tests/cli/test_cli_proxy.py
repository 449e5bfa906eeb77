"""`nasfit proxy` as it is typed: what it prints, as text and as JSON, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nasfit.cli import proxy
from nasfit.errors import UsageError
from nasfit.search import Noted, ProxyChosen, ProxySettings, ProxyStep
from nasfit.search.proxy_choice import Length, ProxyChoice
from nasfit.search.rank_agreement import Agreement

Run = Callable[..., tuple[int, str, str]]
NETWORK = "in3@32 stem8s2 | sepconv k3 s2 se0 none f8 n1 | head16 out10 relu"


def chosen(images: int | None) -> ProxyChoice:
    lengths = (
        Length(1000, 1.2, 0.1, Agreement(0.5, 0.1, 0.9, 8), 0.5),
        Length(5000, 6.1, 0.5, Agreement(0.86, 0.6, 1.0, 8), 0.86),
    )
    ceiling = Agreement(0.93, 0.8, 1.0, 8)
    return ProxyChoice(0.8, images, lengths, 10_000, 12.5, ceiling, (NETWORK,) * 8, (0.5,) * 8, {"other": "diverged"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ProxySettings, Path]]:
    """What a check is called with; it finds 5,000 pictures, or none with a wish of 0.9."""
    calls: list[tuple[ProxySettings, Path]] = []

    def check(settings: ProxySettings, path: Path) -> Iterator[Noted | ProxyStep | ProxyChosen]:
        calls.append((settings, path))
        yield Noted("8 networks")
        yield ProxyStep(24, 24)
        yield ProxyChosen(chosen(None if settings.wish > 0.86 else 5000))

    monkeypatch.setattr(proxy, "check_proxy", check)
    return calls


def test_a_line_a_length_and_the_verdict(run: Run, asked: list[tuple[ProxySettings, Path]]) -> None:
    code, out, _ = run("proxy", "photos", "--budgets", "1000,5000", "--full", 10_000, "--seeds", 2, "--width", 0.5)
    assert code == 0
    ((settings, path),) = asked
    assert (settings.budgets, settings.full, settings.seeds, settings.width) == ((1000, 5000), 10_000, 2, 0.5)
    assert path == Path("runs/proxy-photos-seed0")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "1,000 1.2 10.0% 0.50 0.50 0.10 to 0.90" in lines
    assert "5,000 6.1 50.0% 0.86 0.86 0.60 to 1.00" in lines
    assert "full, another seed 0.93 0.80 to 1.00" in lines
    assert "left out: other: diverged" in lines
    verdict = "5,000 pictures are the fewest that rank with tau 0.8 or more: tau 0.86 (90 %: 0.60 to 1.00)"
    assert any(line.startswith(verdict) for line in lines)
    assert lines[-1] == "search with it: nasfit search photos --proxy-images 5000 ..."


def test_json_says_the_same(run: Run, asked: list[tuple[ProxySettings, Path]], tmp_path: Path) -> None:
    code, out, _ = run("proxy", "photos", "--wish", 0.9, "--json", "--study", tmp_path, "--budget", "1h")
    assert code == 0
    document = json.loads(out)
    assert asked[0][0].budget_s == 3600 and asked[0][0].full is None
    assert document["study"] == str(tmp_path)
    assert document["images"] is None and "no length tried" in document["verdict"]
    assert document["lengths"][1]["agreement"] == {"tau": 0.86, "low": 0.6, "high": 1.0, "networks": 8}


def test_what_cannot_be_is_one_message(run: Run) -> None:
    for arguments, words in (
        (("--networks", 3), "--networks is 3; fewer than 5"),
        (("--budgets", "1k"), "--budgets is '1k'; give rising numbers of pictures with commas"),
        (("--wish", 2), "the wish is 2.0"),
    ):
        code, _, err = run("proxy", "photos", *arguments)
        assert code == 2 and err.startswith("error: ") and words in err and err.count("\n") == 1


def test_lists_of_pictures() -> None:
    assert proxy.pictures("500, 1000") == (500, 1000)
    for text in ("", "5,,6", "-1", "1.5"):
        with pytest.raises(UsageError):
            proxy.pictures(text)

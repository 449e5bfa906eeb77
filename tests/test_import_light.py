"""`import nasfit` is light, and so are the packages that promise to do without torch."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import nasfit

LIGHT = ["nasfit", "nasfit.errors", "nasfit.architecture", "nasfit.space", "nasfit.objective"]
PROGRAM = """
import sys, time
before = time.perf_counter()
import {module}
print(round(time.perf_counter() - before, 3), *sorted({{"torch", "torchvision", "numpy", "onnx"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("module", LIGHT)
def test_a_fresh_interpreter_loads_nothing_heavy(module):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)], capture_output=True, text=True, check=True, timeout=60
    )
    seconds, *heavy = run.stdout.split()
    print(f"import {module}: {seconds} s")
    assert heavy == []


@pytest.mark.parametrize(
    "module", ["nasfit.report", "nasfit.dashboard", "nasfit.cli.showing", "nasfit.cli.reporting", "nasfit.search.plan"]
)
def test_reading_a_study_loads_neither_torch_nor_what_writes_models(module):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.split()[1:] == ["numpy"]


@pytest.mark.parametrize("module", ["nasfit.search.run", "nasfit.cli.searching", "nasfit.training.job"])
def test_a_search_loads_torch_but_not_torchvision(module):
    """Which takes as long again, in each of its processes."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "torch" in run.stdout.split() and "torchvision" not in run.stdout


def test_the_public_names_of_the_search_resolve_on_first_use():
    from nasfit import search
    from nasfit.search import public

    assert all(getattr(search, name) is getattr(public, name) for name in public.__all__)
    with pytest.raises(AttributeError, match="serach"):
        search.serach  # noqa: B018


@pytest.mark.parametrize("name", nasfit.__all__)
def test_every_public_name_resolves(name):
    assert getattr(nasfit, name) is not None


@pytest.mark.parametrize("name", sorted(set(nasfit.__all__) - {"__version__"}))
def test_every_public_name_is_documented(name):
    told = inspect.getdoc(getattr(nasfit, name)) or ""
    # A dataclass without a text of its own has its signature there.
    assert told and not told.startswith(f"{name}(")


def test_the_public_names_are_listed():
    assert dir(nasfit) == sorted(nasfit.__all__)
    assert len(set(nasfit.__all__)) == len(nasfit.__all__)


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'serach'.*run_search"):
        nasfit.serach  # noqa: B018

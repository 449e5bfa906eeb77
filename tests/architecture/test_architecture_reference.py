"""The reference page's examples and tables, taken from the page itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nasfit.architecture import Architecture, adapted, count, layers, published, read_blocks

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "architecture.md").read_text(encoding="utf-8")
TEXT, V3_SMALL, NOTATION = re.findall(r"```text\n(.*?)\n```", PAGE)


def test_the_text_form_shown_reads_and_comes_back():
    assert str(Architecture.parse(TEXT)) == TEXT
    assert str(published("mobilenet-v3-small")) == V3_SMALL


def test_the_published_notation_shown_reads():
    assert [block.filters for block in read_blocks(NOTATION, 24)] == [40, 80, 80]


@pytest.mark.parametrize(
    ("side", "halvings", "last"), re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
)
def test_the_table_of_strides(side, halvings, last):
    network = adapted(published("mnasnet-a1"), resolution=int(side), channels=3, classes=10)
    strides = [network.stem_stride, *(block.stride for block in network.blocks)]
    assert (strides.count(2), layers(network)[-1].resolution_out) == (int(halvings), int(last))


@pytest.mark.parametrize(
    ("name", "parameters", "madds_m"),
    re.findall(r"^\| `([a-z0-9-]+)` \| ([\d,]{7,}) \| ([\d.]+) \|$", PAGE, re.MULTILINE),
)
def test_the_table_of_counts(name, parameters, madds_m):
    counts = count(published(name))
    assert f"{counts.parameters:,}" == parameters
    assert f"{counts.madds / 1e6:.2f}" == madds_m


def test_both_tables_were_found():
    assert len(re.findall(r"^\| \d+ \| \d+ \| \d+ \|$", PAGE, re.MULTILINE)) == 5
    assert len(re.findall(r"^\| `[a-z0-9-]+` \| [\d,]{7,} \|", PAGE, re.MULTILINE)) == 5

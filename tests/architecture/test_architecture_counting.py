"""Counting by hand, row by row; the built modules are compared in tests/models."""

from __future__ import annotations

from nasfit.architecture import Architecture, count, published


def counted(blocks: str, ends: tuple[str, str] = ("in3@32 stem8s2", "head16 out10 relu")) -> dict[str, tuple[int, int]]:
    network = Architecture.parse(f"{ends[0]} | {blocks} | {ends[1]}")
    return {row.part: (row.parameters, row.madds) for row in count(network).rows}


def test_the_ends_by_hand():
    rows = counted("conv k3 s2 se0 none f4 n1")
    assert rows["stem"] == (9 * 3 * 8 + 16, 9 * 3 * 8 * 16 * 16)
    assert rows["block 1"] == (9 * 8 * 4 + 8, 9 * 8 * 4 * 8 * 8)
    assert rows["head"] == (4 * 16 + 32, 4 * 16 * 8 * 8)
    assert rows["classifier"] == (16 * 10 + 10, 16 * 10)


def test_a_separable_layer_by_hand():
    depthwise, pointwise = 25 * 8, 8 * 4
    assert counted("sepconv k5 s1 se0 none f4 n1")["block 1"] == (
        depthwise + 16 + pointwise + 8,
        (depthwise + pointwise) * 16 * 16,
    )


def test_an_inverted_bottleneck_with_squeeze_by_hand():
    inside, squeezed = 8 * 3, 2
    expand, depthwise, project = 8 * inside, 9 * inside, inside * 4
    squeeze = 2 * inside * squeezed
    assert counted("mbconv3 k3 s2 se0.25 pool f4 n1")["block 1"] == (
        expand + 2 * inside + depthwise + 2 * inside + squeeze + inside + squeezed + project + 8,
        expand * 16 * 16 + (depthwise + project) * 8 * 8 + squeeze,
    )


def test_rows_name_the_parts_and_add_up(points):
    for network in points(20, seed=7):
        counts = count(network)
        blocks = [f"block {number}" for number in range(1, 8)]
        assert [row.part for row in counts.rows] == ["stem", *blocks, "head", "classifier"]
        assert counts.parameters == sum(row.parameters for row in counts.rows)
        assert counts.madds == sum(row.madds for row in counts.rows)


def test_rows_show_the_maps_of_a1():
    rows = count(published("mnasnet-a1")).rows
    assert [row.resolution for row in rows] == [112, 112, 56, 28, 14, 14, 7, 7, 7, 1]
    assert [row.filters for row in rows] == [32, 16, 24, 40, 80, 112, 160, 320, 1280, 1000]

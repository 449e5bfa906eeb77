from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasfit.errors import DataError
from nasfit.tasks import load
from nasfit.tasks.listing import list_folder
from nasfit.tasks.splitting import carve

Fill = Callable[..., Path]
Paint = Callable[..., Path]


def sizes(listing: dict[str, tuple[object, ...]]) -> dict[str, int]:
    return {part: len(pictures) for part, pictures in listing.items()}


# --- carving


def test_carve_is_stratified_and_exact() -> None:
    labels = np.repeat(np.arange(4), [100, 50, 30, 20])
    kept, carved = carve(labels, 4, 0.15)
    assert np.bincount(labels[carved]).tolist() == [15, 8, 4, 3]
    assert sorted([*kept, *carved]) == list(range(200))


def test_carve_takes_one_of_each_class_but_never_its_last() -> None:
    labels = np.repeat(np.arange(3), [50, 2, 1])
    _, carved = carve(labels, 3, 0.02)
    assert np.bincount(labels[carved], minlength=3).tolist() == [1, 1, 0]


def test_carve_keeps_to_the_cap() -> None:
    labels = np.arange(3000) % 7
    assert len(carve(labels, 7, 0.5, cap=100)[1]) == 100


# --- layouts


def test_flat_folder(tmp_path: Path, fill: Fill) -> None:
    listing = list_folder(fill(tmp_path, {"dog": 3, "cat": 4}))
    assert listing.classes == ("cat", "dog")
    assert [(p.name, p.label) for p in listing.parts["train"]][3:5] == [("cat/3.png", 0), ("dog/0.png", 1)]
    assert (listing.skipped, listing.notes) == ((), ())


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_own_split(tmp_path: Path, fill: Fill, validation: str) -> None:
    for folder, count in (("train", 5), (validation, 2), ("test", 3)):
        fill(tmp_path / folder, {"a": count, "b": count})
    assert sizes(list_folder(tmp_path).parts) == {"train": 10, "validation": 4, "test": 6}


def test_train_may_be_a_class(tmp_path: Path, fill: Fill) -> None:
    assert list_folder(fill(tmp_path, {"train": 3, "bus": 3})).classes == ("bus", "train")
    fill(tmp_path / "train", {"2019": 2, "2020": 1})
    assert list_folder(tmp_path).classes == ("bus", "train")


def test_folders_beside_an_own_split_are_named(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path / "train", {"a": 4, "b": 4})
    fill(tmp_path / "test", {"a": 1, "b": 1})
    fill(tmp_path, {"preview": 1})
    listing = list_folder(tmp_path)
    assert listing.classes == ("a", "b")
    assert listing.notes == ("1 folder(s) beside train ignored: preview",)


def test_unlabelled_test_part_is_carved_and_said(tmp_path: Path, fill: Fill, paint: Paint) -> None:
    fill(tmp_path / "train", {"a": 20, "b": 20})
    paint(tmp_path / "test" / "1.png")
    listing = list_folder(tmp_path)
    assert sizes(listing.parts) == {"train": 40}
    assert "test part has no pictures in class folders" in listing.notes[0]
    assert listing.skipped == ()


def test_pictures_in_no_class_are_named_and_other_files_are_not(tmp_path: Path, fill: Fill, paint: Paint) -> None:
    fill(tmp_path / "train", {"a": 3, "b": 3})
    paint(tmp_path / "cover.jpg")
    paint(tmp_path / "train" / "stray.bmp")
    (tmp_path / "README.txt").write_text("x")
    assert list_folder(tmp_path).skipped == (
        ("cover.jpg", "not in a class folder"),
        ("train/stray.bmp", "not in a class folder"),
    )


def test_nested_hidden_and_upper_case(tmp_path: Path, fill: Fill, paint: Paint) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    paint(tmp_path / "a" / "deep" / "er" / "X.PNG")
    paint(tmp_path / "a" / "._hidden.png")
    paint(tmp_path / "a" / ".hidden" / "x.png")
    paint(tmp_path / ".cache" / "x.png")
    paint(tmp_path / "__MACOSX" / "x.png")
    names = [picture.name for picture in list_folder(tmp_path).parts["train"]]
    assert names == ["a/0.png", "a/1.png", "a/2.png", "a/deep/er/X.PNG", "b/0.png", "b/1.png", "b/2.png"]


def test_links_are_followed_and_loops_are_not(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path / "elsewhere", {"b": 3})
    root = fill(tmp_path / "root", {"a": 3})
    (root / "b").symlink_to(tmp_path / "elsewhere" / "b")
    (root / "a" / "linked.png").symlink_to(root / "a" / "0.png")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "here").symlink_to(root / "a")
    (root / "a" / "self.png").symlink_to(root / "a" / "self.png")
    (root / "a" / "gone.png").symlink_to(root / "nowhere.png")
    os.mkfifo(root / "a" / "pipe.png")
    listing = list_folder(root)
    names = [picture.name for picture in listing.parts["train"]]
    assert names == ["a/0.png", "a/1.png", "a/2.png", "a/linked.png", "b/0.png", "b/1.png", "b/2.png"]
    assert listing.skipped == (
        ("a/gone.png", "broken link"),
        ("a/pipe.png", "not a regular file"),
        ("a/self.png", "broken link"),
    )


def test_names_outside_ascii(tmp_path: Path, fill: Fill) -> None:
    """Composed in train, decomposed in test, as a copy by way of another file system leaves them."""
    fill(tmp_path / "train", {"caf\u00e9": 4, "犬": 4})
    fill(tmp_path / "test", {"cafe\u0301": 1, "犬": 1})
    data = load(tmp_path, cache=tmp_path / ".cache")
    assert data.classes == ("caf\u00e9", "犬")
    assert len(data.test) == 2


def test_names_that_are_no_text(tmp_path: Path, fill: Fill) -> None:
    root = os.fsencode(tmp_path / "root")
    fill(tmp_path / "root", {"a": 3, "b": 3})
    os.rename(root + b"/b", root + b"/b\xff")  # noqa: PTH104
    with open(root + b"/a/\xfe.txt", "wb") as file:  # noqa: PTH123
        file.write(b"x")
    data = load(tmp_path / "root", cache=tmp_path / "cache")
    assert data.classes == ("a", "b\\udcff")
    assert "a/\\udcfe.txt" in data.notes[0]
    "".join((*data.classes, *data.notes)).encode()


# --- errors


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root, fill, paint: None, "holds no pictures"),
        (lambda root, fill, paint: paint(root / "x.png"), "pictures but no class folders"),
        (lambda root, fill, paint: fill(root, {"a": 0, "b": 0}), "holds no pictures"),
        (lambda root, fill, paint: fill(root, {"a": 5}), "only one class, 'a'"),
        (lambda root, fill, paint: fill(root / "in", {"a": 5, "b": 5}), "perhaps give .*/in"),
        (lambda root, fill, paint: fill(root, {"a": 5, "b": 1}), "'b' has 1; every class needs at least 3"),
        (lambda root, fill, paint: fill(root, {f"c{k}": 2 for k in range(8)}), "and 3 more classes"),
        (lambda root, fill, paint: fill(root / "test", {"a": 5, "b": 5}), "holds test but no train"),
        (
            lambda root, fill, paint: (paint(root / "train" / "x.png"), paint(root / "test" / "x.png")),
            "holds no class folders",
        ),
        (
            lambda root, fill, paint: (fill(root / "train", {"a": 5, "b": 5}), fill(root / "test", {"c": 5})),
            r"c: class\(es\) of the test part without pictures in train",
        ),
        (
            lambda root, fill, paint: [fill(root / part, {"a": 5, "b": 5}) for part in ("train", "val", "valid")],
            "both val and valid",
        ),
        (
            lambda root, fill, paint: [fill(root / part, {"a": 1, "b": 5}) for part in ("train", "test")],
            "'a' has 1; every class needs at least 2",
        ),
    ],
)
def test_unusable_folders(
    tmp_path: Path, fill: Fill, paint: Paint, prepare: Callable[..., object], message: str
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    prepare(root, fill, paint)
    with pytest.raises(DataError, match=message):
        load(root, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


def test_empty_class_folders_are_left_out_and_named(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "c").mkdir()
    listing = list_folder(tmp_path)
    assert listing.classes == ("a", "b")
    assert listing.notes == ("1 folder(s) without pictures left out: c",)


def test_classes_missing_from_a_part_are_named(tmp_path: Path, fill: Fill) -> None:
    fill(tmp_path / "train", {"a": 3, "b": 3})
    fill(tmp_path / "test", {"a": 1})
    assert list_folder(tmp_path).notes == ("no test pictures of 1 class(es): b",)

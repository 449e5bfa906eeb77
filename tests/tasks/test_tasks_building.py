"""Decoding into splits: killed and gone on with, broken pictures, disks that are too small, streamed pictures."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from miniature import WNIDS, picture, write_folder, write_shards

from nasfit.errors import DataError, UsageError
from nasfit.tasks import ClassificationData, Split, joined, load, open_saved
from nasfit.tasks.building import require_space
from nasfit.tasks.layout import Layout, mended
from nasfit.tasks.splitting import LARGE, balanced, carve, divided

Fill = Callable[..., Path]

KILLED = """
import os, sys
from nasfit.tasks import building, load
building.BLOCK, building.KEPT_EVERY_S = 4, 0.0
decode, decoded = building.decode, []
def counting(*arguments):
    decoded.append(1)
    return decode(*arguments)
building.decode = counting
def progress(done, total):
    if done >= int(sys.argv[3]):
        os.kill(os.getpid(), 9)
data = load(sys.argv[1], cache=sys.argv[2], progress=progress, resolution=32)
print(len(decoded), data.fingerprint)
"""


def killed_at(root: Path, cache: Path, pictures: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(root), str(cache), str(pictures)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.fault
def test_a_killed_build_goes_on_where_it_was(tmp_path: Path) -> None:
    root = write_shards(tmp_path / "shards")
    for pictures in (12, 24, 40):
        assert killed_at(root, tmp_path / "cache", pictures).returncode == -signal.SIGKILL
    last = killed_at(root, tmp_path / "cache", 1000)
    decoded, fingerprint = last.stdout.split()
    # Of 48 pictures 40 were told of; the block at which it was killed had been decoded but not kept.
    assert 8 <= int(decoded) <= 16
    assert fingerprint == load(root, cache=tmp_path / "other", resolution=32).fingerprint
    assert not list((tmp_path / "cache").glob(".*.partial"))
    (saved,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    assert not (saved / "progress.json").exists()


@pytest.mark.fault
def test_what_was_left_of_other_arguments_is_removed(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set")
    assert killed_at(root, tmp_path / "cache", 12).returncode == -signal.SIGKILL
    assert len(list((tmp_path / "cache").glob(".set-*.partial"))) == 1
    load(root, cache=tmp_path / "cache", resolution=24)
    assert not list((tmp_path / "cache").glob(".*.partial"))


@pytest.mark.fault
def test_an_interrupted_build_stays_and_a_failed_one_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasfit.tasks.building.KEPT_EVERY_S", 0.0)
    monkeypatch.setattr("nasfit.tasks.building.BLOCK", 4)
    root = write_folder(tmp_path / "set")

    def stop(error: BaseException) -> Callable[[int, int], None]:
        def told(done: int, total: int) -> None:
            if done > 20:
                raise error

        return told

    with pytest.raises(KeyboardInterrupt):
        load(root, cache=tmp_path / "cache", progress=stop(KeyboardInterrupt()))
    assert len(list((tmp_path / "cache").glob(".*.partial"))) == 1
    with pytest.raises(DataError, match="No space left"):
        load(root, cache=tmp_path / "cache", progress=stop(OSError(28, os.strerror(28))))
    assert len(list((tmp_path / "cache").glob(".*.partial"))) == 1
    for path in (root / "train" / WNIDS[0]).iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"too few readable pictures .* has 0"):
        load(root, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob(".*.partial"))


# --- broken pictures


def coloured(root: Path, classes: int, each: int) -> Path:
    """Pictures whose red is their class and whose green is their number."""
    from PIL import Image

    for label in range(classes):
        (root / f"class{label}").mkdir(parents=True)
        for number in range(each):
            image = Image.new("RGB", (24, 24), (label, number, 99))
            image.save(root / f"class{label}" / f"{number:02}.png")
    return root


@pytest.mark.parametrize("share", [0.15, 0.5])
@pytest.mark.parametrize("broken", [[0], [1, 2, 3, 4, 5], list(range(0, 20, 2)), list(range(17))])
def test_broken_pictures_leave_whole_splits(tmp_path: Path, broken: list[int], share: float) -> None:
    root = coloured(tmp_path / "root", 3, 20)
    for number in broken:
        (root / "class1" / f"{number:02}.png").write_bytes(b"broken")
    data = load(root, cache=tmp_path / "cache", validation=share)
    seen = []
    for split in data.splits().values():
        colours = split.images_NHWC[:, 0, 0]
        np.testing.assert_array_equal(colours[:, 0], split.labels_N)
        assert set(split.labels_N) == {0, 1, 2}
        seen += [tuple(colour[:2].tolist()) for colour in colours]
    wanted = [(c, n) for c in range(3) for n in range(20) if c != 1 or n not in broken]
    assert sorted(seen) == wanted
    assert f"skipped {len(broken)} of 60 files" in data.notes[0]


def test_mending_changes_few_rows() -> None:
    labels = np.arange(1000) % 4
    order = np.random.default_rng(0).permutation(1000)
    layout = Layout(
        {"train": order[:700], "validation": order[700:850], "test": order[850:]}, labels, frozenset({"train"})
    )
    failed = np.array([order[3], order[710], order[850]])
    after = mended(layout, failed)
    assert {part: len(rows) for part, rows in after.rows.items()} == {"train": 697, "validation": 150, "test": 150}
    everything = np.concatenate(list(after.rows.values()))
    assert sorted(everything) == sorted(set(range(1000)) - set(failed.tolist()))
    for part in ("validation", "test"):
        assert np.bincount(labels[after.rows[part]]).tolist() == np.bincount(labels[layout.rows[part]]).tolist()
    changed = sum(int((after.rows[part] != layout.rows[part][: len(after.rows[part])]).sum()) for part in after.rows)
    assert changed <= 6


def test_mending_always_leaves_train_a_picture() -> None:
    """One of a class of four is lost, and the carved splits had three of them."""
    labels = np.zeros(4, np.int64)
    rows = {"train": np.array([0]), "validation": np.array([1, 2]), "test": np.array([3])}
    after = mended(Layout(rows, labels, frozenset({"train"})), np.array([0]))
    assert {part: found.tolist() for part, found in after.rows.items()} == {
        "train": [2],
        "validation": [1],
        "test": [3],
    }


def test_a_given_part_only_shrinks() -> None:
    labels = np.zeros(20, np.int64)
    layout = Layout({"train": np.arange(10), "test": np.arange(10, 20)}, labels, frozenset({"train", "test"}))
    after = mended(layout, np.array([12]))
    assert after.rows["train"].tolist() == list(range(10))
    assert after.rows["test"].tolist() == [10, 11, 19, 13, 14, 15, 16, 17, 18]


# --- how much is held out


def test_as_many_as_imagenet_hold_out_fifty_thousand() -> None:
    labels = np.arange(LARGE + 281_167) % 1000
    train, test = np.random.default_rng(0).permutation(len(labels)), np.arange(50_000)
    rows = divided({"train": train, "test": test}, {"train": labels, "test": test % 1000}, 1000, 0.15, None)
    assert [len(rows[part]) for part in ("train", "validation", "test")] == [1_231_167, 50_000, 50_000]
    assert np.bincount(labels[rows["validation"]]).tolist() == [50] * 1000
    assert not len(np.intersect1d(rows["validation"], rows["train"]))
    rows = divided({"train": train, "test": test}, {"train": labels, "test": test % 1000}, 1000, 0.15, 100_000)
    assert [len(rows[part]) for part in ("train", "validation")] == [90_000, 10_000]


def test_balanced_takes_alike_of_each_class_as_far_as_it_goes() -> None:
    labels = np.repeat(np.arange(4), [50, 3, 20, 7])
    chosen = np.bincount(labels[balanced(labels, 4, 35)], minlength=4)
    assert chosen.tolist() == [13, 3, 12, 7]
    assert len(balanced(labels, 4, 1000)) == 80


def test_what_is_carved_depends_on_names_and_seed_not_on_where_files_lie(tmp_path: Path) -> None:
    one = write_folder(tmp_path / "one")
    other = tmp_path / "other"
    # Made in reverse order, so that the file system lists it otherwise.
    for path in sorted(one.rglob("*.JPEG"), reverse=True):
        (other / path.relative_to(one)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other / path.relative_to(one))
    assert load(one, cache=tmp_path / "cache").fingerprint == load(other, cache=tmp_path / "cache").fingerprint


def test_carving_is_fast_and_exact_for_many_classes() -> None:
    labels = np.random.default_rng(0).integers(0, 1000, 200_000)
    kept, carved = carve(labels, 1000, 0.05)
    assert len(carved) == 10_000
    assert sorted([*kept, *carved]) == list(range(200_000))


# --- disks


def test_a_disk_that_is_too_small_is_said_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=20_000_000_000)
    monkeypatch.setattr("nasfit.tasks.building.shutil.disk_usage", lambda place: usage)
    require_space(tmp_path, 100_000, 224)
    with pytest.raises(
        DataError,
        match=r"1,331,167 pictures at 224 px take 200\.4 GB, and .* has 20\.0 GB free; ask for a resolution of 64 px "
        r"or less \(--resolution\), at most 132,8\d\d pictures \(--pictures\), have them .* \(--stream\)",
    ):
        require_space(tmp_path, 1_331_167, 224)
    with pytest.raises(DataError, match=r"free; ask for at most"):
        require_space(tmp_path, 100_000_000, 224)


# --- streamed


@pytest.fixture(params=["folder", "shards"])
def streamed(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ClassificationData, ClassificationData]:
    """The same pictures streamed and decoded."""
    write = write_folder if request.param == "folder" else write_shards
    root = write(tmp_path / "set")
    return (
        load(root, cache=tmp_path / "cache", resolution=28, stream=True),
        load(root, cache=tmp_path / "cache", resolution=28),
    )


def test_streamed_pictures_are_the_decoded_ones(streamed: tuple[ClassificationData, ClassificationData]) -> None:
    brought, decoded = streamed
    assert (brought.resolution, brought.channels, brought.classes) == (28, 3, decoded.classes)
    np.testing.assert_allclose(brought.mean, decoded.mean, atol=0.01)
    for part, split in decoded.splits().items():
        images = brought.splits()[part].images_NHWC
        np.testing.assert_array_equal(brought.splits()[part].labels_N, split.labels_N)
        np.testing.assert_array_equal(images[:], split.images_NHWC)
        np.testing.assert_array_equal(images[[2, 0, 2]], split.images_NHWC[[2, 0, 2]])
        np.testing.assert_array_equal(images[3, :, :, 0], split.images_NHWC[3, :, :, 0])
        rows, columns = np.array([[[1]], [[0]]]), np.arange(28)[None, None, ::-1]
        moved = rows, np.arange(28)[None, :, None], columns
        np.testing.assert_array_equal(images[moved], split.images_NHWC[moved])
    assert brought.directory is not None
    assert sum(path.stat().st_size for path in brought.directory.glob("*")) < 20_000
    assert open_saved(brought.directory, verify=True).fingerprint == brought.fingerprint


def test_joined_splits_are_one_after_the_other(streamed: tuple[ClassificationData, ClassificationData]) -> None:
    _, decoded = streamed
    whole = np.concatenate([decoded.train.images_NHWC, decoded.validation.images_NHWC])
    for data in streamed:
        both = joined(data.train, data.validation)
        np.testing.assert_array_equal(both.images_NHWC[:], whole)
        np.testing.assert_array_equal(both.images_NHWC[29:33], whole[29:33])
        assert len(both) == len(whole)


def test_large_splits_are_joined_without_a_copy(
    streamed: tuple[ClassificationData, ClassificationData], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasfit.tasks.dataset._COPIED", 0)
    _, decoded = streamed
    both = joined(decoded.train, decoded.validation)
    assert not isinstance(both.images_NHWC, np.ndarray)
    rows = np.array([30, 2, 33, 31])
    whole = np.concatenate([decoded.train.images_NHWC, decoded.validation.images_NHWC])
    np.testing.assert_array_equal(both.images_NHWC[rows], whole[rows])


def test_streamed_sets_name_broken_pictures_once_and_missing_ones_when_wanted(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "set")
    broken = root / "train" / WNIDS[1] / f"{WNIDS[1]}_004.JPEG"
    broken.write_bytes(broken.read_bytes()[:300])
    data = load(root, cache=tmp_path / "cache", resolution=28, stream=True)
    assert len(data.train) + len(data.validation) == 35
    assert f"skipped 1 of 48 files: train/{WNIDS[1]}/{WNIDS[1]}_004.JPEG" in data.notes[-1]
    shutil.rmtree(root / "val")
    with pytest.raises(DataError, match=r"val_0000.* could be read when the study began and cannot now \(No such file"):
        data.test.images_NHWC[:2]


def test_streaming_is_refused_where_it_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="read into memory whole"):
        load("fashion-mnist-small", cache=tmp_path, resolution=28, stream=True)
    with pytest.raises(UsageError, match="need a resolution"):
        load("fashion-mnist-small", cache=tmp_path, stream=True)
    pa = pytest.importorskip("pyarrow", reason="the extra nasfit[datasets] is not installed")
    from pyarrow import parquet

    (tmp_path / "p").mkdir()
    rows = {"image": [picture(n % 2, n) for n in range(10)], "label": [n % 2 for n in range(10)]}
    parquet.write_table(pa.table(rows), tmp_path / "p" / "all.parquet")
    with pytest.raises(UsageError, match="keeps its pictures packed"):
        load(tmp_path / "p", cache=tmp_path / "cache", resolution=28, stream=True)


def test_splits_take_what_acts_like_an_array(tmp_path: Path) -> None:
    images = np.zeros((4, 24, 24, 3), np.uint8)
    both = joined(Split(images, np.zeros(4, np.int64)), Split(images[:2], np.ones(2, np.int64)))
    assert isinstance(both.images_NHWC, np.ndarray)
    assert both.labels_N.tolist() == [0] * 4 + [1] * 2

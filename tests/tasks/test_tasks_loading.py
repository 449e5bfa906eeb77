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
from PIL import Image

from nasfit.errors import DataError, UnknownNameError, UsageError
from nasfit.tasks import ClassificationData, load, open_saved

Fill = Callable[..., Path]
Paint = Callable[..., Path]


def counts(data: ClassificationData) -> list[int]:
    return [len(split) for split in data.splits().values()]


def test_flat_folder_is_split_with_every_class_in_every_part(tmp_path: Path, fill: Fill) -> None:
    data = load(fill(tmp_path / "pets", {"cat": 40, "dog": 20, "emu": 3}), cache=tmp_path / "cache")
    assert (data.name, data.classes) == ("pets", ("cat", "dog", "emu"))
    assert np.bincount(data.train.labels_N).tolist() == [29, 14, 1]
    assert np.bincount(data.validation.labels_N).tolist() == [5, 3, 1]
    assert np.bincount(data.test.labels_N).tolist() == [6, 3, 1]
    assert (data.resolution, data.channels, data.notes) == (28, 3, ())
    assert data.directory is not None
    assert open_saved(data.directory, verify=True).fingerprint == data.fingerprint
    parts = [f"{part}_{what}.npy" for part in ("test", "train", "validation") for what in ("images", "labels")]
    assert sorted(path.name for path in data.directory.iterdir()) == ["data.json", *parts]


def test_labels_stay_with_their_pictures_and_none_is_in_two_parts(tmp_path: Path) -> None:
    for label, name in enumerate(("a", "b", "c")):
        (tmp_path / "root" / name).mkdir(parents=True)
        for number in range(10):
            picture = Image.new("RGB", (24, 24), (label, number, 99))
            picture.save(tmp_path / "root" / name / f"{number}.png")
    (tmp_path / "root" / "b" / "3.png").write_bytes(b"damaged")
    data = load(tmp_path / "root", cache=tmp_path / "cache")
    seen = []
    for split in data.splits().values():
        colours = split.images_NHWC[:, 0, 0]
        np.testing.assert_array_equal(colours[:, 0], split.labels_N)
        seen += [tuple(colour[:2].tolist()) for colour in colours]
    assert sorted(seen) == [(label, number) for label in range(3) for number in range(10) if (label, number) != (1, 3)]


def test_every_prefix_of_train_is_mixed(tmp_path: Path, fill: Fill) -> None:
    data = load(fill(tmp_path / "root", {"a": 40, "b": 40}), cache=tmp_path / "cache")
    assert 5 <= data.train.labels_N[:20].sum() <= 15


def test_own_split_is_kept_and_what_lacks_is_carved(tmp_path: Path, fill: Fill) -> None:
    root = tmp_path / "root"
    fill(root / "train", {"a": 40, "b": 40})
    fill(root / "test", {"a": 5, "b": 5})
    assert counts(load(root, cache=tmp_path / "cache")) == [68, 12, 10]
    fill(root / "valid", {"a": 4, "b": 4})
    assert counts(load(root, cache=tmp_path / "cache")) == [80, 8, 10]
    shutil.rmtree(root / "test")
    assert counts(load(root, cache=tmp_path / "cache")) == [68, 8, 12]


def test_validation_share_is_an_argument(tmp_path: Path, fill: Fill) -> None:
    root = fill(tmp_path / "root", {"a": 40, "b": 40})
    assert counts(load(root, cache=tmp_path / "cache", validation=0.5)) == [34, 34, 12]


@pytest.mark.parametrize(
    ("sizes", "expected"), [([(28, 28)], 28), ([(10, 12)], 24), ([(40, 60), (33, 30)], 40), ([(65, 80), (30, 30)], 64)]
)
def test_default_resolution(tmp_path: Path, paint: Paint, sizes: list[tuple[int, int]], expected: int) -> None:
    for number in range(6):
        paint(tmp_path / "root" / "ab"[number % 2] / f"{number}.png", seed=number, size=sizes[number % len(sizes)])
    data = load(tmp_path / "root", cache=tmp_path / "cache")
    assert data.resolution == expected
    assert load(tmp_path / "root", cache=tmp_path / "cache", resolution=48).resolution == 48


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_pictures_have_one_channel(tmp_path: Path, fill: Fill, mode: str) -> None:
    fill(tmp_path / "root", {"a": 3, "b": 3}, mode="L")
    if mode == "RGB":
        grey = np.asarray(Image.open(tmp_path / "root" / "a" / "0.png"))
        Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "root" / "a" / "0.png")
    data = load(tmp_path / "root", cache=tmp_path / "cache")
    assert data.channels == 1
    assert len(data.mean) == len(data.std) == 1


def test_one_coloured_picture_makes_three_channels(tmp_path: Path, fill: Fill, paint: Paint) -> None:
    fill(tmp_path / "root", {"a": 3, "b": 3}, mode="L")
    paint(tmp_path / "root" / "a" / "colour.png")
    assert load(tmp_path / "root", cache=tmp_path / "cache").channels == 3


def test_unreadable_files_are_named_in_one_line(tmp_path: Path, fill: Fill) -> None:
    root = fill(tmp_path / "root", {"a": 10, "b": 10})
    (root / "a" / "empty.jpg").write_bytes(b"")
    (root / "a" / "notes.txt").write_text("x")
    for number in range(3):
        (root / "b" / f"z{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    data = load(root, cache=tmp_path / "cache")
    assert sum(counts(data)) == 20
    assert len(data.notes) == 1
    assert data.notes[0].startswith(
        "skipped 5 of 25 files: a/empty.jpg (zero bytes), a/notes.txt (not a picture's file name), b/z"
    )
    assert data.notes[0].endswith(" and 2 more")


def test_no_readable_picture_at_all(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "root" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "root" / name / f"{number}.jpg").write_text("nothing")
    with pytest.raises(DataError, match=r"no readable pictures .*not a JPEG"):
        load(tmp_path / "root", cache=tmp_path / "cache")
    assert [path.name[0] for path in (tmp_path / "cache").iterdir()] == ["."]


def test_a_class_left_with_too_few_readable_pictures(tmp_path: Path, fill: Fill) -> None:
    root = fill(tmp_path / "root", {"a": 5, "b": 3})
    (root / "b" / "1.png").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"readable pictures \(skipped 1 of 8 .* 'b' has 2; every class needs"):
        load(root, cache=tmp_path / "cache")


def test_a_part_without_readable_pictures_is_carved_and_said(tmp_path: Path, fill: Fill) -> None:
    root = tmp_path / "root"
    fill(root / "train", {"a": 10, "b": 10})
    (root / "test" / "a").mkdir(parents=True)
    (root / "test" / "a" / "0.png").write_bytes(b"damaged")
    data = load(root, cache=tmp_path / "cache")
    assert counts(data)[2] == 3
    assert any("no readable picture in the test part" in note for note in data.notes)


def test_the_second_call_decodes_nothing(tmp_path: Path, fill: Fill) -> None:
    root = fill(tmp_path / "root", {"a": 5, "b": 5})
    calls: list[tuple[int, int]] = []
    first = load(root, cache=tmp_path / "cache", progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (10, 10)
    calls.clear()
    second = load(root, cache=tmp_path / "cache", progress=lambda done, total: calls.append((done, total)))
    assert not calls
    assert second.directory == first.directory
    (tmp_path / "elsewhere").mkdir()
    moved = root.rename(tmp_path / "elsewhere" / "root")
    assert load(moved, cache=tmp_path / "cache").directory == first.directory


def test_changed_pictures_change_the_fingerprint_and_keep_the_old_data(
    tmp_path: Path, fill: Fill, paint: Paint
) -> None:
    root = fill(tmp_path / "root", {"a": 5, "b": 5})
    first = load(root, cache=tmp_path / "cache")
    paint(root / "a" / "0.png", seed=77)
    second = load(root, cache=tmp_path / "cache")
    assert second.fingerprint != first.fingerprint
    assert first.directory is not None
    assert open_saved(first.directory, verify=True).fingerprint == first.fingerprint


def test_a_picture_exchanged_for_one_of_equal_size_is_noticed(tmp_path: Path, fill: Fill, paint: Paint) -> None:
    root = fill(tmp_path / "root", {"a": 5, "b": 5}, extension="bmp")
    before = load(root, cache=tmp_path / "cache")
    changed = paint(root / "a" / "0.bmp", seed=77)
    os.utime(changed, ns=(1, 1))
    assert load(root, cache=tmp_path / "cache").fingerprint != before.fingerprint


def test_same_seed_same_data_other_seed_other_split(tmp_path: Path, fill: Fill) -> None:
    root = fill(tmp_path / "root", {"a": 20, "b": 20})
    first, again = (load(root, cache=tmp_path / cache, seed=3).fingerprint for cache in ("one", "two"))
    assert first == again
    assert load(root, cache=tmp_path / "one", seed=4).fingerprint != first


def test_a_killed_load_leaves_nothing_that_counts(tmp_path: Path, fill: Fill) -> None:
    root = fill(tmp_path / "root", {"a": 5, "b": 5})
    script = (
        "import os, sys; from nasfit.tasks import load\n"
        "load(sys.argv[1], cache=sys.argv[2], progress=lambda done, total: os.kill(os.getpid(), 9))"
    )
    command = [sys.executable, "-c", script, str(root), str(tmp_path / "cache")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    left = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert [name.rsplit(".", 1)[1] for name in left] == ["lock", "partial"]
    data = load(root, cache=tmp_path / "cache")
    assert counts(data) == [6, 2, 2]
    assert not list((tmp_path / "cache").glob(".*.partial"))


def test_two_processes_build_once(tmp_path: Path, fill: Fill) -> None:
    root = fill(tmp_path / "root", {"a": 30, "b": 30})
    script = (
        "import sys; from nasfit.tasks import load\n"
        "built = []\n"
        "load(sys.argv[1], cache=sys.argv[2], progress=lambda done, total: built.append(done))\n"
        "print(len(built))"
    )
    command = [sys.executable, "-c", script, str(root), str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [process.communicate()[0].strip() for process in running]
    assert sorted(outputs) == ["0", "0", "1"]


def test_saved_data_open_from_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load("fashion-mnist-small", cache=tmp_path)

    def refuse(*_: object) -> None:
        raise AssertionError("the lock was wanted")

    monkeypatch.setattr("nasfit.tasks.loading.locked", refuse)
    assert load("fashion-mnist-small", cache=tmp_path).fingerprint == first.fingerprint


def test_a_full_disk_is_an_error_with_the_reason(tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("nasfit.tasks.building._write_row", full)
    with pytest.raises(DataError, match="No space left on device; free space"):
        load(fill(tmp_path / "root", {"a": 3, "b": 3}), cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob(".*.partial"))


def test_a_cache_under_a_file_is_an_error(tmp_path: Path, fill: Fill) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write pictures to"):
        load(fill(tmp_path / "root", {"a": 3, "b": 3}), cache=tmp_path / "file")


def test_unknown_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fashion-mnist'"):
        load("fashion-mnits", cache=tmp_path)
    (tmp_path / "flowers").mkdir()
    with pytest.raises(DataError, match=r"neither .* did you mean '.*flowers'"):
        load(tmp_path / "flowrs", cache=tmp_path)
    with pytest.raises(DataError, match="known names: fashion-mnist, fashion-mnist-small"):
        load("/nowhere/at/all", cache=tmp_path)
    (tmp_path / "set.zip").write_text("")
    with pytest.raises(DataError, match="is a file; unpack it"):
        load(tmp_path / "set.zip", cache=tmp_path)


@pytest.mark.parametrize(
    "arguments", [{"resolution": 23}, {"resolution": 513}, {"validation": 0.0}, {"validation": 0.6}]
)
def test_arguments_out_of_range(tmp_path: Path, arguments: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"got {next(iter(arguments.values()))}"):
        load("fashion-mnist-small", cache=tmp_path, **arguments)  # type: ignore[arg-type]


def test_no_torch_is_imported() -> None:
    script = "import sys, nasfit.tasks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from nasfit.errors import DataError, UsageError
from nasfit.tasks import ClassificationData, Split, from_arrays, open_saved, save, top1
from nasfit.tasks.dataset import channel_statistics


def split(count: int, *, seed: int = 0, channels: int = 3, side: int = 24) -> Split:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    return Split(images, np.arange(count, dtype=np.int64) % 2)


def data(train: Split | None = None) -> ClassificationData:
    return from_arrays(
        "toy", ("a", "b"), split(70) if train is None else train, split(6, seed=1), split(8, seed=2), ("a note",)
    )


def test_statistics_are_exact_in_units_of_one() -> None:
    images = split(130).images_NHWC
    mean, std = channel_statistics(images)
    pixels = images.reshape(-1, 3) / 255
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-9)


def test_std_of_constant_pictures_can_be_divided_by() -> None:
    _, std = channel_statistics(np.full((3, 24, 24, 1), 7, np.uint8))
    assert std == (1 / 255,)


def test_resolution_and_channels() -> None:
    assert (data().resolution, data().channels) == (24, 3)


def test_fingerprint_notices_one_pixel_one_label_and_one_class_name() -> None:
    original = data().fingerprint
    assert data().fingerprint == original
    images = split(70).images_NHWC.copy()
    images[69, 23, 23, 2] ^= 1
    labels = split(70).labels_N.copy()
    labels[0] = 1
    assert data(Split(images, split(70).labels_N)).fingerprint != original
    assert data(Split(split(70).images_NHWC, labels)).fingerprint != original
    renamed = from_arrays("toy", ("a", "c"), split(70), split(6, seed=1), split(8, seed=2))
    assert renamed.fingerprint != original


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 24, 24, 3), np.float32), np.zeros(2, np.int64), "uint8"),
        (np.zeros((2, 24, 25, 3), np.uint8), np.zeros(2, np.int64), r"\(N, H, H, C\)"),
        (np.zeros((2, 24, 24, 4), np.uint8), np.zeros(2, np.int64), "got 4"),
        (np.zeros((2, 24, 24, 3), np.uint8), np.zeros(3, np.int64), "2 values"),
        (np.zeros((2, 24, 24, 3), np.uint8), np.zeros(2, np.int32), "int32"),
    ],
)
def test_split_refuses_wrong_arrays(images: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split(images, labels)


def test_data_refuses_what_does_not_fit_together() -> None:
    with pytest.raises(DataError, match="differ in picture shape"):
        data(split(4, channels=1))
    with pytest.raises(DataError, match="labels outside"):
        data(Split(split(3).images_NHWC, np.array([0, 1, 2])))
    with pytest.raises(DataError, match="train split of 'toy' is empty"):
        data(split(0))
    with pytest.raises(DataError, match="at least two classes"):
        from_arrays("toy", ("a",), split(2), split(2), split(2))


def test_saved_data_come_back_as_read_only_maps(tmp_path: Path) -> None:
    stored = save(data(), tmp_path / "deep" / "data")
    assert stored.directory == tmp_path / "deep" / "data"
    assert isinstance(stored.train.images_NHWC, np.memmap)
    assert not stored.train.images_NHWC.flags.writeable
    for part, original in data().splits().items():
        np.testing.assert_array_equal(stored.splits()[part].images_NHWC, original.images_NHWC)
        np.testing.assert_array_equal(stored.splits()[part].labels_N, original.labels_N)
    for field in ("name", "classes", "notes", "mean", "std", "fingerprint"):
        assert getattr(stored, field) == getattr(data(), field)


def test_save_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    save(data(), tmp_path / "data")
    (tmp_path / ".data.partial").mkdir()
    (tmp_path / ".data.partial" / "rubbish").write_text("of a killed process")
    stored = save(data(split(10, seed=5)), tmp_path / "data")
    assert len(stored.train) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == [".data.lock", "data"]


def test_open_saved_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no saved data"):
        open_saved(tmp_path)
    directory = tmp_path / "data"
    save(data(), directory)
    facts = (directory / "data.json").read_text()
    (directory / "data.json").write_text(facts.replace('"format": 1', '"format": 99'))
    with pytest.raises(DataError, match="format 1"):
        open_saved(directory)
    (directory / "data.json").write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        open_saved(directory)
    (directory / "data.json").write_text(facts)
    (directory / "test_labels.npy").unlink()
    with pytest.raises(DataError, match="damaged"):
        open_saved(directory)


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    save(data(), tmp_path / "data")
    np.save(tmp_path / "data" / "test_labels.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="damaged"):
        open_saved(tmp_path / "data")


def test_verify_notices_a_changed_byte(tmp_path: Path) -> None:
    stored = save(data(), tmp_path / "data")
    path = tmp_path / "data" / "test_images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert open_saved(tmp_path / "data").fingerprint == stored.fingerprint
    with pytest.raises(DataError, match="changed since"):
        open_saved(tmp_path / "data", verify=True)


def test_save_under_a_file_is_an_error_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="File exists; free space there or give"):
        save(data(), tmp_path / "file" / "data")


def test_pickling_passes_the_path_not_the_pixels(tmp_path: Path) -> None:
    stored = save(data(), tmp_path / "data")
    text = pickle.dumps(stored)
    assert len(text) < 1000
    reopened = pickle.loads(text)  # noqa: S301
    np.testing.assert_array_equal(reopened.test.images_NHWC, stored.test.images_NHWC)
    in_memory = pickle.loads(pickle.dumps(data()))  # noqa: S301
    np.testing.assert_array_equal(in_memory.test.images_NHWC, stored.test.images_NHWC)


def test_top1_of_logits_and_of_predictions() -> None:
    labels = np.array([0, 1, 2, 1])
    logits = np.array([[5.0, 1, 0], [0, 1, 9], [0, 0, 1], [0, 3, 1]])
    assert top1(logits, labels) == 0.75
    assert top1(logits.argmax(axis=1), labels) == 0.75


def test_top1_counts_a_diverged_model_as_wrong() -> None:
    assert top1(np.full((4, 3), np.nan), np.zeros(4, np.int64)) == 0.0


@pytest.mark.parametrize("shape", [(0, 3), (5, 3), (4, 3, 1)])
def test_top1_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    labels = np.zeros(0 if shape[0] == 0 else 4, np.int64)
    with pytest.raises(UsageError, match="top1 needs"):
        top1(np.zeros(shape), labels)

from __future__ import annotations

import gzip
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from nasfit.errors import DataError
from nasfit.tasks import Split, load
from nasfit.tasks.cifar10 import cifar10_source
from nasfit.tasks.fashion_mnist import SUBSET
from nasfit.tasks.idx import STEMS, find_idx, read_idx
from nasfit.tasks.sources import ArraySource

# --- the shipped subset


def test_shipped_subset_is_balanced_and_small(tmp_path: Path) -> None:
    assert SUBSET.stat().st_size < 6_000_000
    data = load("fashion-mnist-small", cache=tmp_path)
    assert [np.bincount(split.labels_N).tolist() for split in data.splits().values()] == [
        [850] * 10,
        [150] * 10,
        [200] * 10,
    ]
    assert (data.resolution, data.channels, data.name, data.notes) == (28, 1, "fashion-mnist-small", ())
    # Mean and spread of the full set, to the accuracy of a sample: 0.2860 and 0.3530.
    assert abs(data.mean[0] - 0.2860) < 0.005
    assert abs(data.std[0] - 0.3530) < 0.005


def test_shipped_subset_has_the_right_labels(tmp_path: Path) -> None:
    """Trousers (1) leave the picture's sides empty, bags (8) fill them."""
    train = load("fashion-mnist-small", cache=tmp_path).train
    side = train.images_NHWC[:, 10:20, 3:6].mean(axis=(1, 2, 3))
    assert side[train.labels_N == 1].mean() < 10
    assert side[train.labels_N == 8].mean() > 60


def test_subset_can_be_resized(tmp_path: Path) -> None:
    data = load("fashion-mnist-small", cache=tmp_path, resolution=32)
    assert data.train.images_NHWC.shape == (8500, 32, 32, 1)


def test_absent_full_set_says_so(tmp_path: Path) -> None:
    data = load("fashion-mnist", cache=tmp_path, fashion_places=[tmp_path / "nowhere"])
    assert data.name == "fashion-mnist-small (in place of fashion-mnist)"
    assert "is not on this machine" in data.notes[0]
    assert str(tmp_path / "nowhere") in data.notes[0]


def test_large_named_sets_give_5000_to_validation() -> None:
    def unread() -> tuple[Split, Split]:
        raise AssertionError("not needed for the share")

    shares = [ArraySource("x", ("a", "b"), (), unread, size).validation_share() * size for size in (60_000, 10_000)]
    assert shares == [5_000, 1_500]


# --- idx


def write_idx(path: Path, values: np.ndarray, *, compress: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    content = header + values.tobytes()
    path.with_name(path.name + ".gz" * compress).write_bytes(gzip.compress(content) if compress else content)


def write_idx_set(folder: Path, *, compress: bool = True) -> None:
    generator = np.random.default_rng(0)
    for stem, count in (("train", 200), ("t10k", 40)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = generator.integers(0, 50, (count, 28, 28), dtype=np.uint8)
        images[:, 0, 0] = labels
        write_idx(folder / f"{stem}-images-idx3-ubyte", images, compress=compress)
        write_idx(folder / f"{stem}-labels-idx1-ubyte", labels, compress=compress)


@pytest.mark.parametrize(
    ("below", "compress"), [("", True), ("FashionMNIST/raw", False), ("FashionMNIST/raw", True), ("raw", False)]
)
def test_full_fashion_mnist_in_every_layout(tmp_path: Path, below: str, compress: bool) -> None:
    write_idx_set(tmp_path / "fashion" / below, compress=compress)
    data = load("fashion-mnist", cache=tmp_path / "cache", fashion_places=[tmp_path / "none", tmp_path / "fashion"])
    assert (data.name, data.notes, len(data.test)) == ("fashion-mnist", (), 40)
    for split in data.splits().values():
        np.testing.assert_array_equal(split.images_NHWC[:, 0, 0, 0], split.labels_N)
    by_path = load(str(tmp_path / "fashion"), cache=tmp_path / "cache")
    assert by_path.fingerprint == data.fingerprint


def test_an_idx_file_exchanged_for_one_of_equal_size_is_noticed(tmp_path: Path) -> None:
    write_idx_set(tmp_path / "set", compress=False)
    before = load(tmp_path / "set", cache=tmp_path / "cache")
    path = tmp_path / "set" / STEMS[2]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    assert load(tmp_path / "set", cache=tmp_path / "cache").fingerprint != before.fingerprint


def test_other_idx_sets_have_digits_for_classes(tmp_path: Path) -> None:
    write_idx_set(tmp_path / "digits" / "MNIST" / "raw")
    data = load(tmp_path / "digits", cache=tmp_path / "cache")
    assert (data.name, data.classes) == ("digits", tuple("0123456789"))


def test_incomplete_idx_set_names_what_is_missing(tmp_path: Path) -> None:
    write_idx_set(tmp_path)
    (tmp_path / f"{STEMS[3]}.gz").unlink()
    with pytest.raises(DataError, match="lacks t10k-labels-idx1-ubyte"):
        find_idx(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x08\x01\0\0\0\x05abc", "should hold 5 values, got 3"),
        (b"\0\0\x0d\x01\0\0\0\x01abcd", "not an idx file"),
        (b"\0\0", "not an idx file"),
    ],
)
def test_damaged_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "x", dimensions=1)


@pytest.mark.parametrize("content", [b"not gzip", gzip.compress(bytes(5000))[:-9]])
def test_damaged_gzip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "x.gz", dimensions=1)


# --- CIFAR-10


def cifar_rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3072) pixels whose first row of red is the label, and the labels."""
    rows = np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)
    labels = np.arange(count, dtype=np.uint8) % 10
    rows[:, :32] = labels[:, None]
    return rows, labels


def python_batch(rows: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch as Python 2 wrote them: protocol 2, byte strings, numpy's old module names."""

    def text(value: bytes) -> bytes:
        return b"T" + struct.pack("<I", len(value)) + value

    dtype = (
        b"cnumpy\ndtype\n"
        + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    shape = b"M" + struct.pack("<H", len(rows)) + b"M\x00\x0c\x86"
    state = b"(K\x01" + shape + dtype + b"\x89" + text(rows.tobytes()) + b"tb"
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    body = text(b"labels") + listed + text(b"data") + array + state
    return b"\x80\x02}(" + body + b"u."


def write_cifar(folder: Path, kind: str) -> None:
    place = folder / f"cifar-10-batches-{kind}"
    place.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        rows, labels = cifar_rows(40, number)
        if kind == "bin":
            (place / f"{name}.bin").write_bytes(np.concatenate([labels[:, None], rows], axis=1).tobytes())
        else:
            (place / name).write_bytes(python_batch(rows, labels))


@pytest.mark.parametrize("kind", ["bin", "py"])
def test_cifar10_in_both_layouts(tmp_path: Path, kind: str) -> None:
    write_cifar(tmp_path, kind)
    data = load(tmp_path, cache=tmp_path / "cache")
    assert (data.name, data.resolution, data.channels, len(data.test)) == ("cifar-10", 32, 3, 40)
    for split in data.splits().values():
        assert (split.images_NHWC[:, 0, :, 0] == split.labels_N[:, None]).all()
    inner = load(tmp_path / f"cifar-10-batches-{kind}", cache=tmp_path / "cache")
    assert inner.fingerprint == data.fingerprint
    rows, _ = cifar_rows(40, 5)
    expected = np.sort(rows.reshape(40, 3, 32, 32).transpose(0, 2, 3, 1).reshape(40, -1).sum(axis=1))
    np.testing.assert_array_equal(np.sort(data.test.images_NHWC.reshape(40, -1).sum(axis=1)), expected)


def test_the_hand_made_batch_is_what_numpy_would_read() -> None:
    rows, labels = cifar_rows(40, 0)
    batch = pickle.loads(python_batch(rows, labels), encoding="bytes")  # noqa: S301
    np.testing.assert_array_equal(batch[b"data"], rows)
    assert batch[b"labels"] == labels.tolist()


class Malice:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.target}",)


def test_a_malicious_batch_runs_nothing(tmp_path: Path) -> None:
    write_cifar(tmp_path, "py")
    content = pickle.dumps({"data": Malice(tmp_path / "harmed")}, protocol=2)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(content)
    with pytest.raises(DataError, match="refused to load posix"):
        load(tmp_path, cache=tmp_path / "cache")
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        ("bin", "test_batch.bin", b"12345", "cut short"),
        ("bin", "test_batch.bin", b"\x0b" + bytes(3072), r"labels outside 0\.\.9"),
        ("bin", "test_batch.bin", b"", "no pictures"),
        ("py", "test_batch", b"", "not a CIFAR-10 python batch"),
        ("py", "test_batch", pickle.dumps({b"data": 1}), "not a CIFAR-10 python batch"),
        ("py", "test_batch", python_batch(cifar_rows(3, 0)[0], np.zeros(2, np.uint8)), "3 pictures but 2 labels"),
    ],
)
def test_damaged_cifar10(tmp_path: Path, kind: str, name: str, content: bytes, message: str) -> None:
    write_cifar(tmp_path, kind)
    (tmp_path / f"cifar-10-batches-{kind}" / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path, cache=tmp_path / "cache")


def test_missing_batches_are_named(tmp_path: Path) -> None:
    write_cifar(tmp_path, "bin")
    (tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"lacks data_batch_3\.bin"):
        cifar10_source(tmp_path)
    assert cifar10_source(tmp_path / "elsewhere") is None

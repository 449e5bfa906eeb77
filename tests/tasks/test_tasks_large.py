"""ImageNet's forms: a folder, shards, Hugging Face's files. The same pictures give the same arrays."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from miniature import VAL, WNIDS, add, picture, train_pictures, val_pictures, write_folder, write_shards

from nasfit.errors import DataError, MissingExtraError, UsageError
from nasfit.tasks import ClassificationData, find, load
from nasfit.tasks.shards import expanded


def counts(data: ClassificationData) -> list[int]:
    return [len(split) for split in data.splits().values()]


def same(one: ClassificationData, other: ClassificationData) -> bool:
    return (one.fingerprint, one.classes) == (other.fingerprint, other.classes)


@pytest.fixture(scope="session")
def folder_data(tmp_path_factory: pytest.TempPathFactory) -> ClassificationData:
    place = tmp_path_factory.mktemp("folder")
    return load(write_folder(place / "imagenet"), cache=place / "cache")


# --- a folder


def test_a_folder_is_tested_on_its_validation_part(folder_data: ClassificationData) -> None:
    assert folder_data.classes == WNIDS
    assert counts(folder_data) == [31, 5, 12]
    assert "the validation part is the test set" in folder_data.notes[0]
    assert np.bincount(folder_data.test.labels_N).tolist() == [VAL] * 3
    for split in folder_data.splits().values():
        red = split.images_NHWC[:, :, :, 0].mean(axis=(1, 2))
        np.testing.assert_array_equal(np.round((red - 20) / 80), split.labels_N)


def test_other_folders_keep_their_validation_part(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "birds")
    for part in ("train", "val"):
        for wnid in WNIDS:
            (root / part / wnid).rename(root / part / f"bird-{wnid}")
    assert counts(load(root, cache=tmp_path / "cache")) == [31, 12, 5]


KIT = dict(zip(WNIDS, ("3", "1", "2"), strict=True))
LABEL_FILES = {
    "val.txt": lambda name, label: f"{name}.JPEG {label}",
    "val/val.txt": lambda name, label: f"{name}.JPEG {label}",
    "LOC_val_solution.csv": lambda name, label: f"{name},{WNIDS[label]} 1 2 3 4 {WNIDS[label]} 5 6 7 8",
    "synset_labels.txt": lambda name, label: WNIDS[label],
    "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": lambda name, label: KIT[WNIDS[label]],
}


@pytest.mark.parametrize("path", LABEL_FILES)
def test_a_flat_validation_folder_takes_its_labels_from_a_file(
    tmp_path: Path, folder_data: ClassificationData, path: str
) -> None:
    root = write_folder(tmp_path / "imagenet", flat=True)
    lines = [LABEL_FILES[path](name, label) for name, label, _ in val_pictures()]
    if path.endswith(".csv"):
        lines = ["ImageId,PredictionString", *reversed(lines)]
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("\n".join(lines))
    if "devkit" in path:
        table = "\n".join(f"{wnid} {number} a_name" for wnid, number in KIT.items())
        (root / path).with_name("map_clsloc.txt").write_text(table)
    data = load(root, cache=tmp_path / "cache")
    assert data.fingerprint != folder_data.fingerprint  # another order of the test set, and nothing else
    as_set = {
        split: sorted(zip(s.images_NHWC.sum((1, 2, 3)), s.labels_N, strict=True)) for split, s in data.splits().items()
    }
    for part, split in folder_data.splits().items():
        assert as_set[part] == sorted(zip(split.images_NHWC.sum((1, 2, 3)), split.labels_N, strict=True))


def test_the_development_kits_matlab_file(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="meta.mat is read by scipy, of the extra nasfit[datasets]")
    root = write_folder(tmp_path / "imagenet", flat=True)
    kit = root / "devkit" / "data"
    kit.mkdir(parents=True)
    rows = [(int(number), wnid, "words", 0) for wnid, number in KIT.items()] + [(4, "n00000001", "group", 3)]
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    scipy_io.savemat(kit / "meta.mat", {"synsets": np.array(rows, dtype=kinds)})
    truth = "\n".join(KIT[WNIDS[label]] for _, label, _ in val_pictures())
    (kit / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)
    data = load(root, cache=tmp_path / "cache")
    red = data.test.images_NHWC[:, :, :, 0].mean(axis=(1, 2))
    np.testing.assert_array_equal(np.round((red - 20) / 80), data.test.labels_N)


def test_kaggles_layout_is_found(tmp_path: Path) -> None:
    write_folder(tmp_path / "ILSVRC" / "Data" / "CLS-LOC", flat=True)
    rows = [f"{name},{WNIDS[label]} 1 2 3 4" for name, label, _ in val_pictures()]
    (tmp_path / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))
    assert counts(load(tmp_path, cache=tmp_path / "cache")) == [31, 5, 12]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("val.txt", "ILSVRC2012_val_00000001.JPEG 3", "speaks of '3', which is no class of train"),
        ("val.txt", "other_00000001.JPEG 0", "names none of them"),
        ("LOC_val_solution.csv", "ILSVRC2012_val_00000001,n99999999 1 2 3 4", "'n99999999', which is no class"),
        ("ILSVRC2012_validation_ground_truth.txt", "1\n2", "put its meta.mat beside it"),
    ],
)
def test_label_files_that_do_not_fit(tmp_path: Path, path: str, content: str, message: str) -> None:
    root = write_folder(tmp_path / "imagenet", flat=True)
    (root / path).write_text(content)
    with pytest.raises(DataError, match=message):
        load(root, cache=tmp_path / "cache")


def test_flat_pictures_without_a_label_are_named(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "imagenet", flat=True)
    rows = [f"{name}.JPEG {label}" for name, label, _ in val_pictures()]
    (root / "val.txt").write_text("\n".join(rows[1:]))
    data = load(root, cache=tmp_path / "cache")
    assert len(data.test) == 11
    assert data.notes[-1] == "skipped 1 of 48 files: val/ILSVRC2012_val_00000001.JPEG (no label for it)"


def test_flat_pictures_and_no_file_of_labels_are_said(tmp_path: Path) -> None:
    data = load(write_folder(tmp_path / "imagenet", flat=True), cache=tmp_path / "cache")
    assert "the validation part has no pictures in class folders" in data.notes[0]
    assert counts(data) == [26, 5, 5]


# --- shards


@pytest.mark.parametrize("kind", ["json", "cls"])
def test_shards_give_the_same_arrays(tmp_path: Path, folder_data: ClassificationData, kind: str) -> None:
    root = write_shards(tmp_path / "shards", kind=kind)
    if kind == "cls":
        # Numbers alone are no WordNet numbers, so that what is called val is validation.
        assert counts(load(root, cache=tmp_path / "cache")) == [31, 12, 5]
        (root / "classnames.txt").write_text("\n".join(WNIDS))
    data = load(root, cache=tmp_path / "cache")
    assert data.classes == WNIDS
    np.testing.assert_array_equal(data.train.images_NHWC, folder_data.train.images_NHWC)
    np.testing.assert_array_equal(data.validation.images_NHWC, folder_data.validation.images_NHWC)
    assert sorted(data.test.images_NHWC.sum((1, 2, 3))) == sorted(folder_data.test.images_NHWC.sum((1, 2, 3)))


def test_shards_by_pattern_and_in_part_folders(tmp_path: Path) -> None:
    root = write_shards(tmp_path / "shards")
    by_folder = load(root, cache=tmp_path / "cache")
    by_pattern = load(
        str(root / "imagenet-{train-{000000..000003},val-{000000..000001}}.tar"), cache=tmp_path / "cache"
    )
    assert same(by_folder, by_pattern)
    for part in ("train", "val"):
        (tmp_path / "sorted" / part).mkdir(parents=True)
        for path in root.glob(f"*-{part}-*.tar"):
            path.rename(tmp_path / "sorted" / part / path.name.replace(part, "x"))
    assert same(by_folder, load(tmp_path / "sorted", cache=tmp_path / "cache"))


def test_brace_patterns() -> None:
    assert expanded("a-{08..11}.tar") == ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]
    assert expanded("{x,y}-{0..1}") == ["x-0", "x-1", "y-0", "y-1"]
    with pytest.raises(DataError, match="rising range"):
        expanded("{3..1}")
    with pytest.raises(DataError, match="rising range"):
        expanded("{0..99999999}")


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    root = write_shards(tmp_path / "shards")
    with pytest.raises(DataError, match=r"imagenet-train-000004\.tar and 1 more of 6"):
        find(str(root / "imagenet-train-{000000..000005}.tar"))


def shard(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            add(tar, name, content)
    return path


def members(numbers: range) -> dict[str, bytes]:
    found = {}
    for number in numbers:
        found |= {
            f"{number:03}.png": picture(number % 2, number, form="PNG"),
            f"{number:03}.cls": b"%d\n" % (number % 2),
        }
    return found


def test_incomplete_samples_are_named_and_the_rest_is_used(tmp_path: Path) -> None:
    odd = {
        "x0.jpg": b"broken",
        "x0.cls": b"0",
        "x1.png": picture(0, 1, form="PNG"),
        "x2.cls": b"1",
        "x3.png": picture(0, 3, form="PNG"),
        "x3.json": b'{"caption": "no label"}',
        "x4.txt": b"of no interest",
        ".hidden.png": b"of no interest",
        "about": b"of no interest",
    }
    shard(tmp_path / "s" / "data-0.tar", members(range(10)) | odd)
    data = load(tmp_path / "s", cache=tmp_path / "cache")
    assert sum(counts(data)) == 10
    assert data.notes == (
        "skipped 4 of 14 files: data-0.tar/x1 (no label (.cls, or .json with a field label)), data-0.tar/x2 "
        "(no picture), data-0.tar/x3 (no label (.cls, or .json with a field label)) and 1 more",
    )


@pytest.mark.parametrize("cut", [0.3, 0.55, 0.97])
def test_a_shard_that_was_cut_off_gives_what_is_whole(tmp_path: Path, cut: float) -> None:
    path = shard(tmp_path / "s" / "data-0.tar", members(range(40)))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))])
    shard(tmp_path / "s" / "data-1.tar", members(range(40, 50)))
    data = load(tmp_path / "s", cache=tmp_path / "cache")
    assert 10 + 30 * cut < sum(counts(data)) <= 50
    if sum(counts(data)) < 50:
        assert "data-0.tar" in data.notes[0]


def test_member_names_never_become_paths(tmp_path: Path) -> None:
    evil = {f"../../{name}": content for name, content in members(range(10)).items()}
    evil |= {f"/abs/{name}": content for name, content in members(range(10, 20)).items()}
    path = shard(tmp_path / "deep" / "s" / "data-0.tar", evil)
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        add(tar, "link.cls", b"0")
    before = sorted(tmp_path.rglob("*"))
    data = load(tmp_path / "deep" / "s", cache=tmp_path / "cache")
    assert sum(counts(data)) == 20
    assert [p for p in sorted(tmp_path.rglob("*")) if "cache" not in p.parts] == before
    assert "link (no picture)" in data.notes[0]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a-train-0.tar": members(range(6)), "b-0.tar": members(range(6))}, "b-0.tar names no part"),
        ({"a-val-0.tar": members(range(6))}, "no file of .* is of the train part"),
        ({"train-val-0.tar": members(range(6))}, "names several parts"),
        ({"a-0.tar": {"x.png": picture(0, 0), "x.cls": b"0"}}, r"has 1 class\(es\)"),
        ({"a-0.tar": members(range(6)) | {"y.png": picture(0, 0), "y.cls": b"cat"}}, "partly numbers and partly texts"),
        (
            {"a-train-0.tar": members(range(6)), "a-test-0.tar": {"y.png": picture(0, 0), "y.cls": b"7"}},
            r"7: class\(es\) of the test part",
        ),
        ({"a-0.tar": {"n01440764.tar": b"x"}}, r"has 0 class\(es\)"),
    ],
)
def test_unusable_shards(tmp_path: Path, files: dict[str, dict[str, bytes]], message: str) -> None:
    for name, content in files.items():
        shard(tmp_path / "s" / name, content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "s", cache=tmp_path / "cache")


def test_a_compressed_shard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        add(tar, "a.cls", b"0")
    (tmp_path / "s" / "a.tar").write_bytes(stream.getvalue())
    with pytest.raises(DataError, match=r"a\.tar is compressed, .* decompress it"):
        load(tmp_path / "s", cache=tmp_path / "cache")


def test_class_names_that_do_not_reach(tmp_path: Path) -> None:
    shard(tmp_path / "s" / "a.tar", members(range(10)))
    (tmp_path / "s" / "classes.txt").write_text("only one\n")
    with pytest.raises(DataError, match="has label 1, but class names for 0 to 0 only"):
        load(tmp_path / "s", cache=tmp_path / "cache")


# --- Hugging Face


def huggingface(tmp_path: Path):  # type: ignore[no-untyped-def]
    """The miniature as the library's own value."""
    datasets = pytest.importorskip("datasets", reason="the extra nasfit[datasets] is not installed")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(WNIDS))})
    splits = {}
    for part, pictures in (("train", train_pictures()), ("validation", val_pictures())):
        rows = {
            "image": [{"bytes": content, "path": None} for _, _, content in pictures],
            "label": [label for _, label, _ in pictures],
        }
        splits[part] = datasets.Dataset.from_dict(rows, features=features)
    return datasets.DatasetDict(splits)


def test_save_to_disk_gives_the_same_arrays(tmp_path: Path, folder_data: ClassificationData) -> None:
    huggingface(tmp_path).save_to_disk(str(tmp_path / "hf"), num_shards={"train": 3, "validation": 1})
    data = load(tmp_path / "hf", cache=tmp_path / "cache")
    assert same(data, load(write_shards(tmp_path / "shards"), cache=tmp_path / "cache"))
    np.testing.assert_array_equal(data.train.images_NHWC, folder_data.train.images_NHWC)


def test_parquet_gives_the_same_arrays(tmp_path: Path, folder_data: ClassificationData) -> None:
    found = huggingface(tmp_path)
    (tmp_path / "hf" / "data").mkdir(parents=True)
    for part, split in found.items():
        for number in range(2):
            path = tmp_path / "hf" / "data" / f"{part}-{number:05}-of-00002.parquet"
            split.shard(2, number, contiguous=True).to_parquet(str(path), batch_size=5)
    data = load(tmp_path / "hf", cache=tmp_path / "cache")
    assert same(data, load(write_shards(tmp_path / "shards"), cache=tmp_path / "cache"))


def test_pictures_kept_by_path_and_rows_without_any(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra nasfit[datasets] is not installed")
    features = datasets.Features({"img": datasets.Image(), "y": datasets.ClassLabel(names=["a", "b"])})
    paths = []
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(picture(number % 2, number, form="PNG"))
        paths.append(str(tmp_path / f"{number}.png"))
    rows = {"img": [*paths, None], "y": [*(number % 2 for number in range(10)), 0]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "hf"))
    data = load(tmp_path / "hf", cache=tmp_path / "cache")
    assert (data.classes, sum(counts(data))) == (("a", "b"), 10)
    assert "row 10 (no picture)" in data.notes[0]


def test_hidden_test_labels_and_other_splits(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra nasfit[datasets] is not installed")
    found = huggingface(tmp_path)
    hidden = found["validation"].map(lambda row: {"label": -1})
    datasets.DatasetDict({**found, "test": hidden, "extra": hidden}).save_to_disk(str(tmp_path / "hf"))
    data = load(tmp_path / "hf", cache=tmp_path / "cache")
    assert counts(data) == [31, 5, 12]
    assert "split(s) left out: extra" in data.notes
    assert "the test part has no labels and is left out" in data.notes


def test_parquet_of_other_writers(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="the extra nasfit[datasets] is not installed")
    from pyarrow import parquet

    rows = {"image": [picture(n % 2, n) for n in range(10)], "label": ["dog" if n % 2 else "cat" for n in range(10)]}
    (tmp_path / "p").mkdir()
    parquet.write_table(pa.table(rows), tmp_path / "p" / "all.parquet")
    assert load(tmp_path / "p", cache=tmp_path / "cache").classes == ("cat", "dog")
    parquet.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "p" / "all.parquet")
    with pytest.raises(DataError, match="no columns of pictures among text, label"):
        load(tmp_path / "p", cache=tmp_path / "cache")


def test_a_name_of_the_hub_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets", reason="the extra nasfit[datasets] is not installed")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="the hub's data set 'nobody/nothing' cannot be loaded"):
        load("hf:nobody/nothing", cache=tmp_path)


def test_what_the_hub_gives_is_read_from_the_librarys_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra nasfit[datasets] is not installed")
    huggingface(tmp_path).save_to_disk(str(tmp_path / "fetched"))
    asked: list[tuple[str, str | None]] = []

    def load_dataset(path: str, config: str | None) -> object:
        asked.append((path, config))
        return datasets.load_from_disk(str(tmp_path / "fetched"))

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    data = load("hf:owner/name@small", cache=tmp_path / "cache")
    assert asked == [("owner/name", "small")]
    assert same(data, load(tmp_path / "fetched", cache=tmp_path / "cache"))
    assert same(data, load("hf:owner/name@small", cache=tmp_path / "cache", resolution=30))


def test_arrow_files_are_streamed_too(tmp_path: Path) -> None:
    huggingface(tmp_path).save_to_disk(str(tmp_path / "hf"))
    brought = load(tmp_path / "hf", cache=tmp_path / "cache", resolution=28, stream=True)
    decoded = load(tmp_path / "hf", cache=tmp_path / "cache", resolution=28)
    np.testing.assert_array_equal(brought.train.images_NHWC[:], decoded.train.images_NHWC)


@pytest.mark.parametrize(
    ("form", "missing"), [("saved", "datasets"), ("parquet", "pyarrow.parquet"), ("hub", "datasets")]
)
def test_without_the_extra_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, missing: str
) -> None:
    source = "hf:a/b" if form == "hub" else str(tmp_path / "set")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / ("state.json" if form == "saved" else "x.parquet")).write_text("{}")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nasfit\[datasets\]'"):
        load(source, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("name", "message"), [("state.json", "not what save_to_disk writes"), ("a.parquet", "cannot be read")]
)
def test_damaged_files_of_the_library(tmp_path: Path, name: str, message: str) -> None:
    pytest.importorskip("datasets", reason="the extra nasfit[datasets] is not installed")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).write_text("nothing of the kind")
    with pytest.raises(DataError, match=message):
        load(tmp_path / "set", cache=tmp_path / "cache")


# --- fewer pictures


def test_fewer_pictures_are_balanced_fixed_by_seed_and_alone_decoded(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "imagenet")
    for path in sorted((root / "train" / WNIDS[0]).iterdir())[3:]:
        path.unlink()
    told: list[tuple[int, int]] = []
    data = load(root, cache=tmp_path / "cache", pictures=14, progress=lambda *done: told.append(done))
    assert np.bincount(np.concatenate([data.train.labels_N, data.validation.labels_N])).tolist() == [3, 6, 5]
    assert told[-1] == (26, 26)
    assert "14 of 27 training pictures, as asked" in data.notes
    again = load(root, cache=tmp_path / "other", pictures=14)
    assert same(data, again)
    assert not same(data, load(root, cache=tmp_path / "cache", pictures=14, seed=1))
    assert not same(data, load(root, cache=tmp_path / "cache"))


def test_fewer_pictures_of_sets_in_memory(tmp_path: Path) -> None:
    data = load("fashion-mnist-small", cache=tmp_path, pictures=500)
    assert counts(data) == [425, 75, 2000]
    assert np.bincount(np.concatenate([data.train.labels_N, data.validation.labels_N])).tolist() == [50] * 10


def test_too_few_pictures_for_the_classes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="19 training pictures are too few for 10 classes; ask for 20 or more"):
        load("fashion-mnist-small", cache=tmp_path, pictures=19)
    with pytest.raises(UsageError, match="pictures must be a number above 0"):
        load("fashion-mnist-small", cache=tmp_path, pictures=0)

"""Marked pictures of both formats on their way to squares on disk, and everything that can be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nasfit.errors import DataError
from nasfit.tasks import DetectionData, load_detection, open_detection

Box = tuple[str, float, float, float, float]


def picture(path: Path, size: tuple[int, int] = (60, 40), orientation: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, quality=95, exif=exif)


def voc(path: Path, boxes: list[Box], size: tuple[int, int] | None = (60, 40), extra: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    things = "".join(
        f"<object><name>{name}</name>{extra}<bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>"
        f"<ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom in boxes
    )
    told = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    path.write_text(f"<annotation><filename>other.jpg</filename>{told}{things}</annotation>")


def voc_folder(root: Path, number: int = 12) -> Path:
    for index in range(number):
        picture(root / f"{index:02}.jpg")
        voc(root / f"{index:02}.xml", [(("cat", "dog")[index % 2], 6, 4, 30, 20)])
    return root


def coco(path: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 90, "name": "unused"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def coco_part(root: Path, part: str, number: int, folder: str) -> None:
    images, annotations = [], []
    for index in range(number):
        identity = 1000 + 37 * index
        picture(root / folder / f"{part}{index:02}.jpg")
        images.append({"id": identity, "file_name": f"{part}{index:02}.jpg", "width": 60, "height": 40})
        kind = (7, 3)[index % 2]
        annotations.append({"id": 5 * index, "image_id": identity, "category_id": kind, "bbox": [6, 4, 24, 16]})
    coco(root / "annotations" / f"instances_{part}2017.json", images, annotations)


def loaded(root: Path, **options: Any) -> DetectionData:
    return load_detection(root, cache=root.parent / "cache", resolution=64, **options)


def boxes_of(data: DetectionData, name: str) -> list[list[float]]:
    for part, names in data.names.items():
        if name in names:
            return data.splits()[part].table.original(names.index(name)).boxes_M4.round(3).tolist()
    raise AssertionError(f"{name} is in no split")


def test_a_voc_folder_is_split_once_and_kept(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "cards")
    (root / "settings.json").write_text("{}")
    data = loaded(root)
    assert data.classes == ("cat", "dog")
    assert {part: len(split) for part, split in data.splits().items()} == {"train": 8, "validation": 2, "test": 2}
    assert sorted(sum(data.names.values(), ())) == [f"{index:02}.jpg" for index in range(12)]
    assert data.train.images_NSSC.shape == (8, 80, 80, 3)
    image_SSC, boxes_M4, labels_M = data.train.picture(0)
    assert boxes_M4.tolist() == [[0.1, 0.1, 0.5, 0.5]]
    assert labels_M.tolist() == [int(data.names["train"][0][:2]) % 2]
    assert image_SSC[10:30, 10:30].min() > 200 and image_SSC[50:].max() < 60
    again = loaded(root)
    assert (again.names, again.directory) == (data.names, data.directory)
    assert loaded(root, seed=1).names != data.names


def test_the_three_layouts_of_voc_hold_the_same(tmp_path: Path) -> None:
    beside = loaded(voc_folder(tmp_path / "a" / "set"))
    root = voc_folder(tmp_path / "b" / "set")
    for path in sorted(root.iterdir()):
        folder = root / ("Annotations" if path.suffix == ".xml" else "JPEGImages")
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
    assert loaded(root).names == beside.names
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    lists.joinpath("trainval.txt").write_text("".join(f"{index:02}\n" for index in range(9)))
    lists.joinpath("test.txt").write_text("10\n11\n99\n")
    listed = loaded(root)
    assert sorted(listed.names["test"]) == ["10.jpg", "11.jpg"]
    assert "names in test.txt have no annotated picture; left out (99)" in " ".join(listed.notes)


def test_given_parts_stay_and_the_other_is_carved(tmp_path: Path) -> None:
    root = tmp_path / "set"
    voc_folder(root / "train", 10)
    voc_folder(root / "test", 4)
    data = loaded(root)
    assert {part: len(split) for part, split in data.splits().items()} == {"train": 8, "validation": 2, "test": 4}
    assert "carved from train: 2 for validation" in " ".join(data.notes)


def test_bad_boxes_are_cut_or_left_out_and_told(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "set")
    bad = [("cat", -9, 5, 30, 400), ("cat", 70, 5, 90, 20), ("cat", 20, 20, 20, 30), ("cat", 30, 30, 10, 35)]
    voc(root / "00.xml", bad)
    data = loaded(root)
    assert boxes_of(data, "00.jpg") == [[0, 5, 30, 40]]
    notes = " ".join(data.notes)
    assert "1 boxes reach over the edge of their picture; cut there (00.jpg)" in notes
    assert "1 boxes lie outside their picture; left out (00.jpg)" in notes
    assert "2 boxes have no area; left out (00.jpg)" in notes


def test_bad_files_are_left_out_and_told(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "set", 16)
    (root / "00.jpg").write_bytes(b"no picture")
    (root / "01.xml").write_text("<annotation><obj")
    (root / "02.xml").unlink()
    (root / "03.jpg").unlink()
    voc(root / "04.xml", [("cat", 5, 5, 20, 20)], size=(40, 400))
    (root / "05.xml").write_text("<annotation><object><name>cat</name></object></annotation>")
    data = loaded(root)
    notes = " ".join(data.notes)
    assert "1 pictures cannot be read (not a JPEG, PNG, WebP or BMP picture); left out (00.jpg)" in notes
    assert "1 .xml files do not read; left out (01.xml)" in notes
    assert "2 pictures have no .xml file that reads; left out (01.jpg, 02.jpg)" in notes
    assert "1 .xml files have no picture; left out (03.xml)" in notes
    assert "1 pictures have another shape than their annotations say; left out (04.jpg)" in notes
    assert "1 boxes have no name or lack a number; left out (05.xml)" in notes
    assert boxes_of(data, "05.jpg") == []


def test_classes_that_train_has_not_are_left_out_and_told(tmp_path: Path) -> None:
    root = tmp_path / "set"
    voc_folder(root / "train", 10)
    voc_folder(root / "test", 4)
    voc(root / "test" / "00.xml", [("joker", 5, 5, 20, 20), ("cat", 5, 5, 20, 20)])
    data = loaded(root)
    assert data.classes == ("cat", "dog")
    assert len(data.test.table.labels_M) == 4
    assert "1 boxes are of classes that no training picture shows; left out (joker)" in " ".join(data.notes)


def test_difficult_boxes_are_not_trained_on(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "set")
    voc(root / "00.xml", [("cat", 5, 5, 20, 20)], extra="<difficult>1</difficult>")
    data = loaded(root)
    part = next(part for part, names in data.names.items() if "00.jpg" in names)
    row = data.names[part].index("00.jpg")
    assert len(data.splits()[part].picture(row)[1]) == 0
    assert data.splits()[part].table.original(row).crowd_M.tolist() == [True]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_follow_the_picture_whichever_way_it_lies(tmp_path: Path, orientation: int) -> None:
    """The white quarter is where its box is, marked in the picture as stored (where that shows) or upright."""
    root = voc_folder(tmp_path / "set")
    picture(root / "00.jpg", orientation=orientation)
    stored = (0.0, 0.0, 30.0, 20.0)
    voc(root / "00.xml", [("cat", *stored)])
    if 2 <= orientation <= 4:
        upright = {2: (30, 0, 60, 20), 3: (30, 20, 60, 40), 4: (0, 20, 30, 40)}[orientation]
        voc(root / "00.xml", [("cat", *upright)])
    data = loaded(root)
    part = next(part for part, names in data.names.items() if "00.jpg" in names)
    image_SSC, boxes_M4, _ = data.splits()[part].picture(data.names[part].index("00.jpg"))
    left, top, right, bottom = (boxes_M4[0] * len(image_SSC)).round().astype(int)
    assert image_SSC[top + 4 : bottom - 4, left + 4 : right - 4].min() > 200
    assert (image_SSC > 128).mean() == pytest.approx(0.25, abs=0.03)


def test_upright_annotations_of_a_turned_picture_stay(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "set")
    picture(root / "00.jpg", orientation=6)
    voc(root / "00.xml", [("cat", 20, 0, 40, 30)], size=(40, 60))
    assert boxes_of(loaded(root), "00.jpg") == [[20, 0, 40, 30]]


def test_annotations_of_the_picture_at_another_size_are_scaled(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "set")
    voc(root / "00.xml", [("cat", 60, 40, 300, 200)], size=(600, 400))
    assert boxes_of(loaded(root), "00.jpg") == [[6, 4, 30, 20]]


def test_coco_as_published(tmp_path: Path) -> None:
    """Ids have gaps, one category is never used, and val is the test set."""
    root = tmp_path / "coco"
    coco_part(root, "train", 12, "train2017")
    coco_part(root, "val", 4, "val2017")
    data = loaded(root)
    assert data.classes == ("cat", "dog")
    assert {part: len(split) for part, split in data.splits().items()} == {"train": 10, "validation": 2, "test": 4}
    assert boxes_of(data, "train00.jpg") == [[6, 4, 30, 20]]
    assert "the val part is the test set" in data.notes[0]


def test_coco_with_all_that_can_be_wrong(tmp_path: Path) -> None:
    root, images = tmp_path / "set", []
    for index in range(12):
        picture(root / "images" / f"{index}.jpg")
        images.append({"id": index * 10, "file_name": f"{index}.jpg", "width": 60, "height": 40})
    images.append({"id": 999, "file_name": "gone.jpg", "width": 60, "height": 40})
    annotations = [
        {"id": index, "image_id": index * 10, "category_id": (3, 7)[index % 2], "bbox": [6, 4, 24, 16]}
        for index in range(11)
    ]
    annotations += [
        {"id": 50, "image_id": 0, "category_id": 4, "bbox": [1, 1, 9, 9]},
        {"id": 51, "image_id": 77, "category_id": 3, "bbox": [1, 1, 9, 9]},
        {"id": 52, "image_id": 0, "category_id": 3, "bbox": []},
        {"id": 53, "image_id": 0, "category_id": 3, "bbox": [1, 1, 0, 9]},
        {"id": 54, "image_id": 10, "category_id": 3, "bbox": [1, 1, 40, 30], "iscrowd": 1, "area": 700.5},
    ]
    coco(root / "labels.json", images, annotations)
    data = loaded(root)
    notes = " ".join(data.notes)
    assert "1 pictures are named and not there; left out (gone.jpg)" in notes
    assert "1 boxes have a category id that the file does not explain; left out (4)" in notes
    assert "1 boxes belong to a picture that the file does not list; left out (77)" in notes
    assert "1 annotations have no box; left out (52)" in notes
    assert "1 boxes have no area; left out (0.jpg)" in notes
    assert boxes_of(data, "11.jpg") == []
    part = next(part for part, names in data.names.items() if "1.jpg" in names)
    original = data.splits()[part].table.original(data.names[part].index("1.jpg"))
    assert (original.crowd_M.tolist(), original.areas_M.tolist()) == ([False, True], [384.0, 700.5])


def test_a_part_with_its_own_file_beside_its_pictures(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for part, number in (("train", 8), ("valid", 3), ("test", 3)):
        coco_part(root, part, number, part)
        (root / "annotations" / f"instances_{part}2017.json").rename(root / part / "_annotations.coco.json")
    (root / "annotations").rmdir()
    assert [len(split) for split in loaded(root).splits().values()] == [8, 3, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ('{"images": []}', "has no list 'annotations'"),
        ('{"images": [{"id": 1}], "annotations": [], "categories": []}', "has an entry that COCO files do not have"),
        ('{"images": [{"id": 1, "file_name": "../x.jpg"}], "annotations": [], "categories": []}', "outside its folder"),
        ('{"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": [], "categories": []}', "none of the pictures"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "set" / "labels.json"
    file.parent.mkdir()
    file.write_text(content)
    with pytest.raises(DataError, match=message):
        load_detection(file, cache=tmp_path / "cache", resolution=64)


def test_folders_without_annotations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        loaded(tmp_path / "none")
    picture(tmp_path / "plain" / "a.jpg")
    with pytest.raises(DataError, match=r"no annotations in .*expected Pascal VOC"):
        loaded(tmp_path / "plain")
    voc_folder(tmp_path / "two", 2)
    with pytest.raises(DataError, match="too few to carve"):
        loaded(tmp_path / "two")
    voc_folder(tmp_path / "boxless", 4)
    for path in (tmp_path / "boxless").glob("*.xml"):
        voc(path, [])
    with pytest.raises(DataError, match="no box is marked in the 4 training pictures"):
        loaded(tmp_path / "boxless")


def test_damaged_data_says_what_to_remove(tmp_path: Path) -> None:
    data = loaded(voc_folder(tmp_path / "set"))
    (data.directory / "train_boxes.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"damaged.*remove the directory"):
        open_detection(data.directory)

"""Labels of ImageNet's validation pictures where they lie in one folder, as the archive unpacks.

Read are the files that go round with them: `val.txt` (Caffe: a name and a class number from 0, classes sorted by
WordNet number), `LOC_val_solution.csv` (Kaggle: a name, then the WordNet number), a list of WordNet numbers in the
order of the pictures' own numbers (`imagenet_2012_validation_synset_labels.txt`), and
`ILSVRC2012_validation_ground_truth.txt` of the development kit, whose numbers from 1 are explained by
`map_clsloc.txt` or `meta.mat` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from nasfit.errors import DataError, MissingExtraError
from nasfit.tasks.pictures import shown

NAMED = ("LOC_val_solution.csv", "val.txt", "imagenet_2012_validation_synset_labels.txt", "synset_labels.txt")
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_KITS = (".", "data", "devkit/data", "ILSVRC2012_devkit_t12/data", "ILSVRC/devkit/data", "ImageSets/CLS-LOC")


def labels_of_flat(root: Path, folder: Path, names: Sequence[str], classes: Sequence[str]) -> dict[str, str]:
    """The class of each picture by its name; {} where there is no picture or no file of labels near them.

    root: of the data set; folder: of the pictures. Raises DataError for a file that does not fit the pictures.
    """
    path = _labels_file(root, folder) if names else None
    if path is None:
        return {}
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; fetch it anew") from error
    rows = [re.split(r"[\s,]+", line) for line in lines]
    if path.suffix == ".csv" and rows and rows[0][0] == "ImageId":
        rows = rows[1:]
    meaning = (
        _kit_names(path) if path.name == GROUND_TRUTH else {str(place): name for place, name in enumerate(classes)}
    )
    if all(len(row) == 1 for row in rows):
        by_number = {number: row[0] for number, row in enumerate(rows, start=1)}
        told = {name: by_number.get(_number(name)) for name in names}
    else:
        by_stem = {Path(row[0]).stem: row[1] for row in rows if len(row) > 1}
        told = {name: by_stem.get(Path(name).stem) for name in names}
    found = {name: meaning.get(label, label) for name, label in told.items() if label is not None}
    strange = sorted(set(found.values()) - set(classes))
    if strange or not found:
        what = f"speaks of {shown(strange[0])!r}, which is no class of train" if strange else "names none of them"
        raise DataError(
            f"{shown(str(folder))} holds pictures without class folders, and {path} {what}; give a file that fits "
            f"(one of {', '.join((*NAMED, GROUND_TRUTH))}), or sort the pictures into folders named as train's"
        )
    return found


def _labels_file(root: Path, folder: Path) -> Path | None:
    """The first that is there: beside the pictures, in the root, in a development kit, or where Kaggle puts it."""
    above = list(root.absolute().parents)[:3] if root.name == "CLS-LOC" else [root.absolute().parent]
    for place in (folder, root, *above):
        for name in NAMED:
            if (place / name).is_file() and (place in (folder, root) or name == NAMED[0]):
                return place / name
        for kit in _KITS:
            if (place / kit / GROUND_TRUTH).is_file():
                return place / kit / GROUND_TRUTH
    return None


def _kit_names(path: Path) -> dict[str, str]:
    """WordNet numbers by the development kit's own numbers."""
    table, matlab = path.with_name("map_clsloc.txt"), path.with_name("meta.mat")
    if table.is_file():
        rows = [line.split() for line in table.read_text(encoding="utf-8").splitlines()]
        return {row[1]: row[0] for row in rows if len(row) > 1}
    if not matlab.is_file():
        raise DataError(f"{path} counts classes as the development kit does; put its meta.mat beside it")
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise MissingExtraError(f"{matlab}", "datasets") from error
    synsets = loadmat(matlab, squeeze_me=True)["synsets"]
    # Classes alone: the groups above them have children.
    return {str(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets if row["num_children"] == 0}


def _number(name: str) -> int:
    """The picture's own number, as in ILSVRC2012_val_00000293.JPEG; 0 where its name has none."""
    match = re.search(r"(\d+)$", Path(name).stem)
    return int(match[1]) if match else 0

"""From labels as a container file has them, numbers or texts, to a listing with classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nasfit.errors import DataError
from nasfit.tasks.pictures import PART_OF, PARTS, Listing, Picture, published_test, read_span, shown

Label = int | str


@dataclass
class Labelled:
    """Pictures of one part with their labels as stored; `skipped` are (name, reason)."""

    pictures: list[Picture] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def add(self, picture: Picture, label: Label) -> None:
        """One more picture; the label in `picture` is set later."""
        self.pictures.append(picture)
        self.labels.append(label)


def files_by_part(files: Iterable[Path], root: Path) -> dict[str, list[Path]]:
    """Files sorted by name, in parts by the words of their names: train, val, valid, validation, test.

    Folders below `root` count as words too. All are train where no name has such a word. Raises DataError where only
    some have one, or none is train's.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(files):
        words = re.findall(r"[a-z]+", str(path.relative_to(root).with_suffix("")).lower())
        parts = {PART_OF[word] for word in words if word in PART_OF}
        if len(parts) > 1:
            raise DataError(f"{path} names several parts, {' and '.join(sorted(parts))}; rename it")
        found.setdefault(parts.pop() if parts else "", []).append(path)
    if list(found) == [""]:
        return {"train": found[""]}
    if "" in found:
        raise DataError(
            f"{found[''][0]} names no part, and other files beside it do; put train, val or test into every name"
        )
    if "train" not in found:
        raise DataError(f"no file of {root} is of the train part ({', '.join(sorted(found))} are there)")
    return {part: found[part] for part in PARTS if part in found}


def listing_of(
    root: Path,
    parts: Mapping[str, Labelled],
    names: Sequence[str] | None,
    *,
    read: Callable[[Picture], bytes] = read_span,
    notes: Sequence[str] = (),
) -> Listing:
    """A listing whose classes are the labels that occur in train, sorted; `names` are those of labels 0, 1, ...

    A part whose labels are all -1 has none to tell, and is left out. Raises DataError for mixed labels, for numbers
    outside `names`, for classes that train lacks, and for fewer than two.
    """
    hidden = [part for part, found in parts.items() if part != "train" and found.labels and set(found.labels) == {-1}]
    used = {part: found for part, found in parts.items() if part not in hidden and (found.pictures or part == "train")}
    kinds = {type(label) for found in used.values() for label in set(found.labels)}
    if len(kinds) > 1:
        raise DataError(f"the labels of {root} are partly numbers and partly texts; make them one kind")
    in_train = sorted(set(used["train"].labels), key=lambda label: (isinstance(label, str), label))
    if len(in_train) < 2:
        raise DataError(
            f"{root} has {len(in_train)} class(es) in its train part ({len(used['train'].pictures)} labelled "
            f"pictures{_first_skipped(used['train'])}); classification needs at least two"
        )
    places = {label: place for place, label in enumerate(in_train)}
    for part, found in used.items():
        extra = sorted({str(label) for label in set(found.labels) - set(places)})
        if extra:
            raise DataError(f"{', '.join(extra[:5])}: class(es) of the {part} part of {root} without pictures in train")
    listed = {
        part: [p._replace(label=places[label]) for p, label in zip(found.pictures, found.labels, strict=True)]
        for part, found in used.items()
    }
    skipped = [skip for found in parts.values() for skip in found.skipped]
    told = [*notes, *(f"the {part} part has no labels and is left out" for part in hidden)]
    classes = tuple(_name_of(root, label, names) for label in in_train)
    return published_test(Listing(classes, listed, tuple(skipped), tuple(told), read))


def _name_of(root: Path, label: Label, names: Sequence[str] | None) -> str:
    if isinstance(label, str) or names is None:
        return shown(str(label))
    if not 0 <= label < len(names):
        raise DataError(f"{root} has label {label}, but class names for 0 to {len(names) - 1} only")
    return shown(names[label])


def _first_skipped(found: Labelled) -> str:
    if not found.skipped:
        return ""
    name, reason = found.skipped[0]
    return f"; {len(found.skipped)} skipped, the first {shown(name)}: {reason}"

"""WebDataset shards: uncompressed tar files whose members of one name make a sample.

`https://github.com/webdataset/webdataset`: a member's key is its path up to the first dot of its base name, the rest
is what it holds; members of one key lie side by side. Here a sample is a picture (jpg, jpeg, png, webp, bmp) with its
label in `cls` (a number or a class name) or in `json` (its field "label"). Nothing is unpacked: a listing keeps where
in the shard each picture's bytes lie, so no name in a shard ever becomes a path.
"""

from __future__ import annotations

import json
import os
import re
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

from nasfit.errors import DataError
from nasfit.tasks.decoding import EXTENSIONS
from nasfit.tasks.labelled import Label, Labelled, files_by_part, listing_of
from nasfit.tasks.picture_source import PictureSource
from nasfit.tasks.pictures import PART_OF, Listing, Picture
from nasfit.tasks.stamps import stamped

CLASS_NAMES = ("classnames.txt", "classes.txt")
_PICTURES = frozenset(extension[1:] for extension in EXTENSIONS)
_MEMBER = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
# A label is a few characters, or a few fields about the picture.
_MOST_LABEL_BYTES = 1 << 20
_MOST_SHARDS = 1_000_000
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


def shards_source(root: Path) -> PictureSource | None:
    """Shards in the folder `root`, or in its train, val and test folders; None where it has class folders or none."""
    inner = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    if any(path.name.lower() not in PART_OF or any(below.is_dir() for below in path.iterdir()) for path in inner):
        return None
    files = [path for place in (root, *inner) for path in place.glob("*.tar")]
    return _source(root.absolute().name, files, root) if files else None


def pattern_source(pattern: str) -> PictureSource:
    """Shards by a brace pattern such as `imagenet-{train,val}-{0000..0099}.tar`. DataError names what is missing."""
    files = [Path(path).expanduser() for path in dict.fromkeys(expanded(pattern))]
    missing = [path for path in files if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more of {len(files)}" if len(missing) > 1 else ""
        raise DataError(f"no shard {missing[0]}{more}, which {pattern!r} stands for; mend the pattern or fetch it")
    name = re.split(r"[-_.]?\d", files[0].stem)[0]
    return _source(name, files, Path(os.path.commonpath([path.absolute().parent for path in files])))


def expanded(pattern: str) -> list[str]:
    """The texts that braces stand for: `{a,b}` each of these, `{08..11}` numbers as wide as the first."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    numbers = _RANGE.fullmatch(match[1])
    if numbers is None:
        options = match[1].split(",")
    else:
        first, last = int(numbers[1]), int(numbers[2])
        if not first <= last < first + _MOST_SHARDS:
            raise DataError(f"{{{match[1]}}} is no rising range of at most {_MOST_SHARDS:,} shards")
        options = [f"{number:0{len(numbers[1])}}" for number in range(first, last + 1)]
    return [text for option in options for text in expanded(pattern[: match.start()] + option + pattern[match.end() :])]


def list_shards(root: Path, files: dict[str, list[Path]]) -> Listing:
    """Every sample of the shards by part; what is incomplete or damaged is skipped by name. Raises DataError."""
    parts = {part: Labelled() for part in files}
    for part, shards in files.items():
        for shard in shards:
            _list_shard(shard, parts[part])
    return listing_of(root, parts, _class_names(root))


def _source(name: str, files: list[Path], root: Path) -> PictureSource:
    by_part = files_by_part(files, root)
    names = [path for path in (root / name for name in CLASS_NAMES) if path.is_file()]
    return PictureSource(name or "shards", root, stamped([*files, *names], root), partial(list_shards, root, by_part))


def _list_shard(shard: Path, found: Labelled) -> None:
    try:
        with shard.open("rb") as file:
            if file.read(5).startswith(_COMPRESSED):
                raise DataError(
                    f"{shard} is compressed, and pictures are read where they lie in a shard; decompress it"
                )
            for key, members in groupby(_members(shard, found), key=lambda member: member[0]):
                _list_sample(shard, key, {kind: info for _, kind, info in members}, found, file.fileno())
    except OSError as error:
        raise DataError(f"{shard} cannot be read: {error.strerror or error}") from error


def _members(shard: Path, found: Labelled) -> Iterator[tuple[str, str, tarfile.TarInfo]]:
    """(key, kind, where) of every regular member; a damaged shard gives what comes before the damage."""
    try:
        with tarfile.open(shard, "r:") as tar:
            while (member := tar.next()) is not None:
                # Else the library keeps all of them.
                tar.members = []  # type: ignore[attr-defined]
                match = _MEMBER.fullmatch(member.name)
                if match is not None and member.isreg() and not member.issparse():
                    yield match[1], match[2].lower(), member
    except (tarfile.TarError, EOFError) as error:
        found.skipped.append((shard.name, f"the rest of this shard is damaged ({error})"))


def _list_sample(shard: Path, key: str, members: dict[str, tarfile.TarInfo], found: Labelled, descriptor: int) -> None:
    kinds = sorted(_PICTURES & set(members))
    name = f"{shard.name}/{key}"
    if not kinds:
        # Samples of other kinds, or files about the shard, are nobody's loss.
        if "cls" in members:
            found.skipped.append((name, "no picture"))
        return
    label = _label(members, descriptor)
    if label is None:
        found.skipped.append((name, "no label (.cls, or .json with a field label)"))
        return
    picture = members[kinds[0]]
    found.add(Picture(str(shard), f"{name}.{kinds[0]}", 0, picture.offset_data, picture.size), label)


def _label(members: dict[str, tarfile.TarInfo], descriptor: int) -> Label | None:
    for kind in ("cls", "json"):
        member = members.get(kind)
        if member is None or member.size > _MOST_LABEL_BYTES:
            continue
        text = os.pread(descriptor, member.size, member.offset_data)
        try:
            value = text.decode().strip() if kind == "cls" else json.loads(text)["label"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
            return int(value)
        if isinstance(value, int | str) and not isinstance(value, bool) and value != "":
            return value
    return None


def _class_names(root: Path) -> list[str] | None:
    for name in CLASS_NAMES:
        if (root / name).is_file():
            return (root / name).read_text(encoding="utf-8").splitlines()
    return None

"""Hugging Face data sets: written by `save_to_disk`, as parquet files, or by name from the hub or its cache.

A column of pictures is a struct of `bytes` and `path`; class names are in the features. Where pictures lie
uncompressed in Arrow files, as `save_to_disk` and the hub's cache write them, their places are taken from Arrow's own
buffers and the pictures are then read as any others. Parquet is read one row group at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasfit.errors import DataError, MissingExtraError
from nasfit.tasks.decoding import available_cores
from nasfit.tasks.labelled import Labelled, files_by_part, listing_of
from nasfit.tasks.picture_source import PictureSource
from nasfit.tasks.pictures import PART_OF, Listing, Picture, shown
from nasfit.tasks.stamps import stamped

if TYPE_CHECKING:
    import pyarrow

HUB = "hf:"
EXTRA = "datasets"
_IMAGES = ("image", "img", "picture", "jpg", "png")
_LABELS = ("label", "labels", "fine_label", "class", "cls", "target")
_MARKS = ("dataset_dict.json", "state.json")


@dataclass(frozen=True)
class _Columns:
    """Which column holds the pictures, which the labels, and the class names where the features tell them."""

    image: str
    label: str
    names: tuple[str, ...] | None


def huggingface_source(folder: Path) -> PictureSource | None:
    """What `save_to_disk` wrote to `folder`, or the parquet files below it; None where it holds neither."""
    name = folder.absolute().name
    if any((folder / mark).is_file() for mark in _MARKS):
        files = sorted(folder.rglob("*.arrow"))
        return PictureSource(name, folder, stamped(files, folder), partial(_list_saved, folder))
    files = sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith("."))
    if not files:
        return None
    by_part = files_by_part(files, folder)
    return PictureSource(name, folder, stamped(files, folder), partial(_list_parquet, folder, by_part))


def hub_source(name: str) -> PictureSource:
    """A data set of the hub by its name, `OWNER/NAME` or `OWNER/NAME@CONFIG`, fetched into the library's own cache.

    Offline it is found where an earlier call fetched it. Raises DataError with the library's reason otherwise.
    """
    datasets = _library(f"{HUB}{name}")
    path, _, config = name.partition("@")
    try:
        loaded = datasets.load_dataset(path, config or None)
    # The library raises errors of its own, of the network, of the file system.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"the hub's data set {shown(name)!r} cannot be loaded: {reason}") from error
    files = [Path(entry["filename"]) for split in loaded.values() for entry in split.cache_files]
    root = files[0].parent if files else Path()
    return PictureSource(path, root, stamped(files, root), partial(_list_splits, Path(name), dict(loaded.items())))


def _list_saved(folder: Path) -> Listing:
    datasets = _library(str(folder))
    try:
        loaded = datasets.load_from_disk(str(folder))
    except Exception as error:
        raise DataError(f"{folder} is not what save_to_disk writes: {error}; write it anew") from error
    return _list_splits(folder, dict(loaded.items()) if isinstance(loaded, dict) else {"train": loaded})


def _list_splits(folder: Path, splits: dict[str, Any]) -> Listing:
    """Of the library's own data sets: pictures are read from the Arrow files behind them."""
    import pyarrow as pa

    parts: dict[str, Labelled] = {}
    names, notes = None, []
    for name, split in splits.items():
        part = PART_OF.get(name.lower())
        if part is None:
            notes.append(name)
            continue
        columns = _columns(
            folder,
            {key: feature.__dict__ | {"_type": type(feature).__name__} for key, feature in split.features.items()},
        )
        names = columns.names or names
        if split._indices is not None:
            raise DataError(f"{folder} is a selection of rows of another data set; write it with flatten_indices()")
        found = parts.setdefault(part, Labelled())
        for entry in split.cache_files:
            with pa.memory_map(entry["filename"]) as file:
                table = pa.ipc.open_stream(file).read_all()
                _list_table(folder, Path(entry["filename"]), table, columns, found, _spans(file))
    if "train" not in parts:
        raise DataError(f"{folder} has the splits {', '.join(map(shown, splits))} but no train")
    return listing_of(folder, parts, names, notes=[f"split(s) left out: {', '.join(notes)}"] if notes else [])


def _list_parquet(folder: Path, files: dict[str, list[Path]]) -> Listing:
    pq = _parquet(str(folder))
    parts, names = {}, None
    for part, paths in files.items():
        found = parts[part] = Labelled()
        for path in paths:
            try:
                with pq.ParquetFile(path) as file:
                    columns = _columns_of_schema(path, file.schema_arrow)
                    labels = file.read(columns=[columns.label]).column(0)
            except (OSError, ValueError) as error:
                raise DataError(f"{path} cannot be read: {error}; fetch it anew") from error
            names = columns.names or names
            for row, label in enumerate(labels.to_pylist()):
                _add(found, Picture(str(path), f"{path.relative_to(folder)} row {row}", 0, row, 0), label)
    return listing_of(folder, parts, names, read=_read_parquet)


def _list_table(
    folder: Path,
    path: Path,
    table: pyarrow.Table,
    columns: _Columns,
    found: Labelled,
    spans: Callable[[pyarrow.Array], tuple[np.ndarray, np.ndarray]],
) -> None:
    row = 0
    labels = table.column(columns.label).to_pylist()
    for chunk in table.column(columns.image).chunks:
        starts, sizes = spans(chunk.field("bytes"))
        for start, size, elsewhere in zip(
            starts.tolist(), sizes.tolist(), chunk.field("path").to_pylist(), strict=True
        ):
            name = f"{path.name} row {row}"
            if start >= 0:
                _add(found, Picture(str(path), name, 0, start, size), labels[row])
            elif elsewhere is not None and (file := folder / elsewhere).is_file():
                _add(found, Picture(str(file), name, 0, 0, file.stat().st_size), labels[row])
            else:
                found.skipped.append((name, "no picture"))
            row += 1


def _add(found: Labelled, picture: Picture, label: object) -> None:
    if isinstance(label, int | str) and not isinstance(label, bool):
        found.add(picture, label)
    else:
        found.skipped.append((picture.name, "no label"))


def _spans(file: pyarrow.MemoryMappedFile) -> Callable[[pyarrow.Array], tuple[np.ndarray, np.ndarray]]:
    """Where in a mapped file the values of a binary array lie: first byte (-1: no value) and size of each."""
    file.seek(0)
    whole = file.read_buffer()

    def spans(values: pyarrow.Array) -> tuple[np.ndarray, np.ndarray]:
        import pyarrow as pa

        _, offsets, content = values.buffers()
        width = np.int64 if pa.types.is_large_binary(values.type) else np.int32
        ends = np.frombuffer(offsets, width)[values.offset : values.offset + len(values) + 1].astype(np.int64)
        start = 0 if content is None else content.address - whole.address
        if not 0 <= start <= whole.size:
            raise DataError("the Arrow files are compressed; write them with save_to_disk of the library's defaults")
        is_there = values.is_valid().to_numpy(zero_copy_only=False)
        return np.where(is_there, start + ends[:-1], -1), np.diff(ends)

    return spans


def _read_parquet(picture: Picture) -> bytes:
    """The picture of row `start`. Neighbours share a row group, so the last groups are kept."""
    starts, column = _groups(picture.path)
    group = int(np.searchsorted(starts, picture.start, "right")) - 1
    value = _group(picture.path, column, group)[picture.start - starts[group]].as_py()
    content = value if isinstance(value, bytes) else value and value.get("bytes")
    if not content:
        raise OSError(0, "no picture")
    return bytes(content)


@lru_cache(maxsize=4096)
def _groups(path: str) -> tuple[list[int], str]:
    with _parquet(path).ParquetFile(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        return np.cumsum([0, *sizes[:-1]]).tolist(), _columns_of_schema(Path(path), file.schema_arrow).image


@lru_cache(maxsize=available_cores() + 1)
def _group(path: str, column: str, group: int) -> pyarrow.ChunkedArray:
    with _parquet(path).ParquetFile(path) as file:
        return file.read_row_group(group, columns=[column], use_threads=False).column(0)


def _columns_of_schema(path: Path, schema: pyarrow.Schema) -> _Columns:
    """By the features that the library keeps in a file, else by the columns' own types."""
    import json

    import pyarrow as pa

    kept = (schema.metadata or {}).get(b"huggingface")
    features = json.loads(kept)["info"]["features"] if kept else {}
    for field in schema:
        is_image = pa.types.is_binary(field.type) or (
            pa.types.is_struct(field.type)
            and "bytes" in [field.type.field(k).name for k in range(field.type.num_fields)]
        )
        is_label = pa.types.is_integer(field.type) or pa.types.is_string(field.type)
        guess = "Image" if is_image else "Value" if is_label else "other"
        features.setdefault(field.name, {"_type": guess})
    return _columns(path, features)


def _columns(place: Path, features: dict[str, dict[str, Any]]) -> _Columns:
    images = [name for name, feature in features.items() if feature.get("_type") == "Image"]
    named = [name for name, feature in features.items() if feature.get("_type") == "ClassLabel"]
    plain = [name for name, feature in features.items() if feature.get("_type") == "Value" and name in _LABELS]
    image = _chosen(place, images, _IMAGES, "pictures", features)
    label = _chosen(place, named or plain, _LABELS, "labels", features)
    names = features[label].get("names") or features[label].get("_names")
    return _Columns(image, label, tuple(names) if names else None)


def _chosen(place: Path, columns: Sequence[str], usual: Sequence[str], what: str, features: dict[str, Any]) -> str:
    """The only column of a kind, or the first that is called as usual."""
    if len(columns) == 1:
        return columns[0]
    for name in usual:
        if name in columns:
            return name
    raise DataError(
        f"{place} has {len(columns) or 'no'} columns of {what} among {', '.join(map(shown, features))}; "
        f"keep one, or call it {usual[0]!r}"
    )


def _library(what: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError(what, EXTRA) from error
    return datasets


def _parquet(what: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(what, EXTRA) from error
    return pyarrow.parquet

"""Listed pictures decoded into the files of their splits: each read once, where it lies, and written to its own row.

Reading goes in the order of the listing, as disks and containers like it, and never twice; the shuffled order of a
split exists in the written file alone. So the disk has to hold the decoded pictures once, and what is decoded so far is
told by one number, which is kept every few seconds: a killed build goes on where it was.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nasfit.errors import DataError, UsageError
from nasfit.tasks.decoding import available_cores, decode, quiet_pillow, shorter_side
from nasfit.tasks.layout import Layout, laid_out, mended
from nasfit.tasks.pictures import Listing, Picture, check_counts, read_span, shown
from nasfit.tasks.saved import HEADER_BYTES, PROGRESS, finish_images, greyed, write_labels
from nasfit.tasks.sources import Progress, Wanted, Written
from nasfit.tasks.streamed import CHECKED_PX, write_places

# Pictures up to this size are kept at their own; larger ones are brought to it unless the caller says otherwise.
LARGEST_OWN = 64
SMALLEST = 24
# Pictures that one thread decodes at a stretch.
BLOCK = 64
KEPT_EVERY_S = 20.0
_NAMED = 3

Skipped = tuple[str, str]


def build(root: Path, listing: Listing, directory: Path, wanted: Wanted, progress: Progress | None) -> Written:
    """Write the splits of a listing to `directory`; DataError if none, or too few of a class, can be read.

    What cannot be decoded is named in a note. A carved split gets another picture of the class in its place; a given
    part of which nothing can be read is carved from train.
    """
    size = _size(root, listing, wanted)
    layout = laid_out(listing, wanted)
    require_space(directory, layout.count, size)
    done = _decoded(listing, layout, directory, size, progress)
    failed = np.array(sorted(done.failed), np.int64)
    skipped = [*listing.skipped, *((listing.at(place).name, done.failed[place]) for place in failed.tolist())]
    summary = _summary(skipped, layout.count + len(listing.skipped))
    if len(failed) == layout.count:
        raise DataError(f"no readable pictures in {shown(str(root))}: {summary}; give JPEG, PNG, WebP or BMP files")
    for part in layout.given - {"train"}:
        if np.isin(layout.rows[part], failed).all():
            _clear(directory)
            parts = {name: pictures for name, pictures in listing.parts.items() if name != part}
            note = f"no readable picture in the {part} part; carved from train instead"
            rest = replace(listing, parts=parts, skipped=tuple(skipped), notes=(*listing.notes, note))
            return build(root, rest, directory, wanted, progress)
    _check(root, listing, layout, failed, f"readable pictures ({summary})" if skipped else "pictures")
    final = mended(layout, failed)
    _decode_moved(listing, layout, final, directory, size)
    for part, rows in final.rows.items():
        finish_images(directory, part, (len(rows), size, size, 3))
        write_labels(directory, part, final.labels_N[rows])
        if wanted.stream:
            write_places(directory, part, [listing.at(place) for place in rows.tolist()])
    if done.is_grey and not wanted.stream:
        # What follows cannot be done twice.
        (directory / PROGRESS).unlink(missing_ok=True)
        for part in final.rows:
            greyed(directory, part)
    return Written(tuple(map(shown, listing.classes)), (*listing.notes, *layout.notes, *([summary] if skipped else [])))


def _size(root: Path, listing: Listing, wanted: Wanted) -> int:
    """Of the pixels to write, px: of the thumbnails where pictures are brought as they are wanted."""
    if not wanted.stream:
        return own_resolution(listing) if wanted.resolution is None else wanted.resolution
    if listing.read is not read_span:
        raise UsageError(
            f"{shown(str(root))} keeps its pictures packed, so none can be brought alone; leave out --stream, or write "
            "the set as a folder, as shards, or with save_to_disk"
        )
    return CHECKED_PX


def own_resolution(listing: Listing, up_to: int = LARGEST_OWN) -> int:
    """The largest shorter side, 24 to `up_to` px, of pictures that are all small; `up_to` where one is larger."""
    largest = SMALLEST
    with quiet_pillow():
        for picture in listing:
            try:
                side = shorter_side(io.BytesIO(listing.read(picture)))
            except OSError:  # decoding names the reason later
                continue
            largest = max(largest, side or 0)
            if largest >= up_to:
                return up_to
    return largest


def require_space(directory: Path, count: int, size: int, *, is_all: bool = False) -> None:
    """DataError unless the disk of `directory` holds `count` decoded pictures of `size` px, and what to do instead.

    is_all: there is no way to take fewer pictures, or to decode them later.
    """
    needed = count * size * size * 3
    written = sum(path.stat().st_blocks * 512 for path in directory.iterdir())
    room = shutil.disk_usage(directory).free + written
    if needed <= room:
        return
    fitting = int(size * (room / needed) ** 0.5) // 8 * 8
    smaller = f"a resolution of {fitting} px or less (--resolution), " if fitting >= SMALLEST else ""
    fewer = (
        f"at most {int(count * room / needed):,} pictures (--pictures), have them decoded as they are wanted "
        "(--stream), or free space there"
    )
    raise DataError(
        f"{count:,} pictures at {size} px take {needed / 1e9:,.1f} GB, and {directory.parent} has {room / 1e9:,.1f} GB "
        f"free; {'free space there' if is_all else f'ask for {smaller}{fewer}'}"
    )


@dataclass
class _Done:
    """How far a build is: `blocks` of pictures, in order; what failed, by place in the listing, with the reason."""

    blocks: int = 0
    failed: dict[int, str] = field(default_factory=dict)
    is_grey: bool = True

    @classmethod
    def resumed(cls, directory: Path) -> _Done:
        try:
            kept = json.loads((directory / PROGRESS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        return cls(kept["blocks"], {int(place): reason for place, reason in kept["failed"].items()}, kept["is_grey"])

    def keep(self, directory: Path, files: Sequence[int]) -> None:
        """Pixels before the number that tells of them: after a crash it is never ahead."""
        for descriptor in files:
            os.fsync(descriptor)
        draft = directory / f"{PROGRESS}.draft"
        with draft.open("w", encoding="utf-8") as file:
            json.dump({"blocks": self.blocks, "failed": self.failed, "is_grey": self.is_grey}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(directory / PROGRESS)


def _decoded(listing: Listing, layout: Layout, directory: Path, size: int, progress: Progress | None) -> _Done:
    """Decode every chosen picture to its row, one thread a core."""
    done, kept = _Done.resumed(directory), time.monotonic()
    places = layout.places()
    blocks = [places[start : start + BLOCK] for start in range(0, len(places), BLOCK)]
    with ExitStack() as stack:
        files = _opened(stack, layout, directory)
        stack.enter_context(quiet_pillow())

        def work(block: np.ndarray) -> tuple[dict[int, str], bool]:
            return _decode_block(listing, layout, block.tolist(), files, size)

        for failed, is_grey in _ahead(work, blocks[done.blocks :]):
            done.blocks += 1
            done.failed |= failed
            done.is_grey = done.is_grey and is_grey
            if progress is not None:
                progress(min(done.blocks * BLOCK, len(places)), len(places))
            if time.monotonic() - kept >= KEPT_EVERY_S:
                done.keep(directory, list(files.values()))
                kept = time.monotonic()
    return done


def _decode_block(
    listing: Listing, layout: Layout, places: Sequence[int], files: dict[str, int], size: int
) -> tuple[dict[int, str], bool]:
    failed, is_grey = {}, True
    for place in places:
        image = _decode(listing, listing.at(place), size)
        if isinstance(image, str):
            failed[place] = image
            continue
        part, row = layout.where(place)
        _write_row(files[part], row, image)
        is_grey = is_grey and bool((image[:, :, 1:] == image[:, :, :1]).all())
    return failed, is_grey


def _decode_moved(listing: Listing, before: Layout, after: Layout, directory: Path, size: int) -> None:
    """Rows whose picture changed because others could not be read are decoded anew; so this may be done again."""
    with ExitStack() as stack:
        files = _opened(stack, after, directory)
        stack.enter_context(quiet_pillow())
        for part, rows in after.rows.items():
            old = np.full(len(rows), -1)
            old[: len(before.rows[part])] = before.rows[part][: len(rows)]
            for row in np.flatnonzero(rows != old).tolist():
                image = _decode(listing, listing.at(int(rows[row])), size)
                if isinstance(image, str):
                    raise DataError(f"{listing.at(int(rows[row])).name} changed while it was read ({image}); try again")
                _write_row(files[part], row, image)


def _decode(listing: Listing, picture: Picture, size: int) -> np.ndarray | str:
    try:
        content = listing.read(picture)
    except OSError as error:
        return error.strerror or str(error)
    return decode(io.BytesIO(content), size)


def _write_row(descriptor: int, row: int, image: np.ndarray) -> None:
    content, start = image.tobytes(), HEADER_BYTES + row * image.nbytes
    written = os.pwrite(descriptor, content, start)
    while written < len(content):
        written += os.pwrite(descriptor, content[written:], start + written)


def _opened(stack: ExitStack, layout: Layout, directory: Path) -> dict[str, int]:
    """Descriptors of the pixel files of all splits."""
    files = {}
    for part in layout.rows:
        files[part] = os.open(directory / f"{part}_images.npy", os.O_WRONLY | os.O_CREAT, 0o666)
        stack.callback(os.close, files[part])
    return files


def _ahead(
    work: Callable[[np.ndarray], tuple[dict[int, str], bool]], blocks: Sequence[np.ndarray]
) -> Iterator[tuple[dict[int, str], bool]]:
    """Results in order, a few blocks at work at a time: bounds memory, and the wait after Ctrl-C."""
    waiting: deque[Future[tuple[dict[int, str], bool]]] = deque()
    with ThreadPoolExecutor(available_cores()) as pool:
        try:
            for block in blocks:
                waiting.append(pool.submit(work, block))
                if len(waiting) > 2 * available_cores():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _check(root: Path, listing: Listing, layout: Layout, failed: np.ndarray, what: str) -> None:
    """Of the pictures read out of the train part, those that are left must still fill every split it fills."""
    own = [rows for part, rows in layout.rows.items() if part == "train" or part not in layout.given]
    labels_N = layout.labels_N[np.setdiff1d(np.concatenate(own), failed)]
    check_counts(root, listing.classes, labels_N.tolist(), len(own), what)


def _summary(skipped: Sequence[Skipped], total: int) -> str:
    named = ", ".join(f"{shown(name)} ({reason})" for name, reason in skipped[:_NAMED])
    more = f" and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    return f"skipped {len(skipped)} of {total} files: {named}{more}"


def _clear(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()

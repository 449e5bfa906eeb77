"""One tiny ImageNet, written in each of the forms in which the large one goes round."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

WNIDS = ("n01440764", "n01443537", "n02119789")
TRAIN, VAL = 12, 4


def picture(label: int, number: int, *, form: str = "JPEG", seed: int = 0) -> bytes:
    """A picture of 40 x 30 px whose red tells the label."""
    pixels = np.random.default_rng((seed, label, number)).integers(0, 60, (30, 40, 3), dtype=np.uint8)
    pixels[:, :, 0] = 80 * label + 20
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form)
    return stream.getvalue()


def train_pictures() -> list[tuple[str, int, bytes]]:
    """(name without extension, label, content), sorted by class and name."""
    return [
        (f"{wnid}_{number:03}", label, picture(label, number))
        for label, wnid in enumerate(WNIDS)
        for number in range(TRAIN)
    ]


def val_pictures() -> list[tuple[str, int, bytes]]:
    """As ImageNet's: numbered through, classes in no order."""
    labels = np.random.default_rng(7).permutation(np.repeat(np.arange(len(WNIDS)), VAL)).tolist()
    return [
        (f"ILSVRC2012_val_{number:08}", label, picture(label, number, seed=1))
        for number, label in enumerate(labels, start=1)
    ]


def write_folder(root: Path, *, flat: bool = False) -> Path:
    for part, pictures in (("train", train_pictures()), ("val", val_pictures())):
        for name, label, content in pictures:
            place = root / part / ("" if flat and part == "val" else WNIDS[label])
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{name}.JPEG").write_bytes(content)
    return root


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def write_shards(root: Path, *, kind: str = "json", each: int = 10) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for part, pictures in (("train", train_pictures()), ("val", val_pictures())):
        for shard, start in enumerate(range(0, len(pictures), each)):
            with tarfile.open(root / f"imagenet-{part}-{shard:06}.tar", "w") as tar:
                for name, label, content in pictures[start : start + each]:
                    add(tar, f"{name}.jpg", content)
                    told = json.dumps({"label": WNIDS[label], "width": 40}) if kind == "json" else str(label)
                    add(tar, f"{name}.{kind}", told.encode())
    return root

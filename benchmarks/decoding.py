"""How fast pictures are decoded: by which library, out of which files, and into batches.

    python benchmarks/decoding.py [--pictures 2000] [--quick] [--json]

decoders: JPEGs of 500 x 375 px to squares of several sizes, pictures a CPU second of one thread, one library after the
    other in turns; the others only where they are installed.
sources: the same pictures through `nasfit.tasks.load` at 128 px, as a folder, shards, and Hugging Face's files.
batches: of a streamed set at 224 px, centre squares and random crops.
listing: samples of shards that are found a second.

Pictures are synthesised: noise with the spectrum of photographs, about 110 kB each, as ImageNet's are on average.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms.v2 import functional

from nasfit.tasks import load
from nasfit.tasks.decoding import decode
from nasfit.tasks.shards import list_shards
from nasfit.training import Recipe
from nasfit.training.batches import training_batches

SIZES = (64, 96, 128, 160, 224)
CLASSES = 10
LOADED_PX, STREAMED_PX = 128, 224
Decoder = Callable[[bytes, int], np.ndarray]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="120 pictures: tells little but that it runs")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the tables to stderr")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    number = 120 if arguments.quick else arguments.pictures
    figures: dict[str, Any] = {"conditions": conditions(number)}
    with (
        redirect_stdout(sys.stderr) if arguments.json else nullcontext(),
        tempfile.TemporaryDirectory() as place,
    ):
        contents = list(photographs(number))
        print(f"{number} JPEGs of 500 x 375 px, {sum(map(len, contents)) / number / 1e3:.0f} kB each\n")
        figures["decoders"] = decoders(contents[: min(number, 400)], rounds=2 if arguments.quick else 5)
        figures["sources"] = sources(contents, Path(place))
        figures["batches"] = batches(Path(place) / "folder", Path(place) / "streamed", min(number // 2, 640))
        figures["listing"] = listing(Path(place) / "listed", 2_000 if arguments.quick else 50_000)
    if arguments.json:
        print(json.dumps(figures, indent=1))


def photographs(number: int) -> Iterator[bytes]:
    """JPEGs whose amplitudes fall with the frequency as those of photographs do, with some grain."""
    across, down = np.fft.rfftfreq(500)[None, :, None], np.fft.fftfreq(375)[:, None, None]
    falling = 1 / np.maximum(np.hypot(across, down), 1 / 500)
    for seed in range(number):
        random = np.random.default_rng(seed)
        noise = np.fft.rfft2(random.standard_normal((375, 500, 3)), axes=(0, 1))
        smooth = np.fft.irfft2(noise * falling, s=(375, 500), axes=(0, 1))
        pixels = 128 + 45 * smooth / smooth.std() + random.normal(0, 7, (375, 500, 1))
        stream = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=90)
        yield stream.getvalue()


def decoders(contents: list[bytes], rounds: int) -> dict[str, dict[int, float]]:
    """Pictures a CPU second by library and size."""
    spent = {name: dict.fromkeys(SIZES, 0.0) for name in known_decoders()}
    share = len(contents) // rounds
    for turn in range(rounds):
        part = contents[turn * share : (turn + 1) * share]
        for size in SIZES:
            for name, decoder in known_decoders().items():
                since = time.process_time()
                for content in part:
                    decoder(content, size)
                spent[name][size] += time.process_time() - since
    speeds = {name: {size: share * rounds / s for size, s in by_size.items()} for name, by_size in spent.items()}
    print("pictures a CPU second " + "".join(f"{size:>8} px" for size in SIZES))
    for name, by_size in speeds.items():
        print(f"{name:22}" + "".join(f"{speed:11,.0f}" for speed in by_size.values()))
    print()
    return speeds


def known_decoders() -> dict[str, Decoder]:
    """Ours and the others that are installed; all give the centre square, antialiased, bicubic."""
    found: dict[str, Decoder] = {"nasfit (Pillow)": _ours, "torchvision.io": _torchvision}
    try:
        import simplejpeg
    except ImportError:
        return found

    def decoder(content: bytes, size: int) -> np.ndarray:
        pixels = simplejpeg.decode_jpeg(content, min_height=2 * size, min_width=2 * size, min_factor=1)
        return np.asarray(_square(Image.fromarray(pixels), size))

    return {**found, "simplejpeg + Pillow": decoder}


def _ours(content: bytes, size: int) -> np.ndarray:
    image = decode(io.BytesIO(content), size)
    assert not isinstance(image, str), image
    return image


def _torchvision(content: bytes, size: int) -> np.ndarray:
    encoded = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    image = torchvision.io.decode_jpeg(encoded, torchvision.io.ImageReadMode.RGB)
    square = functional.center_crop(image, [min(image.shape[1:])])
    cubic = functional.InterpolationMode.BICUBIC
    return functional.resize(square, [size, size], interpolation=cubic, antialias=True).permute(1, 2, 0).numpy()


def _square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def sources(contents: list[bytes], place: Path) -> dict[str, dict[str, float]]:
    """Pictures a second through `load`, by form, and how many cores that kept busy."""
    figures = {}
    print(f"through load at {LOADED_PX} px   pictures/s   a CPU second   cores busy")
    for name, write in (
        ("folder", as_folder),
        ("shards", as_shards),
        ("save_to_disk", as_saved),
        ("parquet", as_parquet),
    ):
        if not write(contents, place / name):
            continue
        with timed() as spent:
            data = load(place / name, cache=place / f"{name}-cache", resolution=LOADED_PX)
        assert sum(map(len, data.splits().values())) == len(contents), data.notes
        figures[name] = {
            "a_second": len(contents) / spent["wall_s"],
            "a_cpu_second": len(contents) / spent["cpu_s"],
            "cores": spent["cpu_s"] / spent["wall_s"],
        }
        one = figures[name]
        print(f"{name:22}{one['a_second']:11,.0f}{one['a_cpu_second']:15,.0f}{one['cores']:13.2f}")
    print()
    return figures


def as_folder(contents: list[bytes], root: Path) -> bool:
    """CLASS/NUMBER.jpg."""
    for number, content in enumerate(contents):
        path = root / f"class{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return True


def as_shards(contents: list[bytes], root: Path) -> bool:
    """Shards of 500."""
    root.mkdir()
    for start in range(0, len(contents), 500):
        with tarfile.open(root / f"train-{start // 500:06}.tar", "w") as tar:
            for number, content in enumerate(contents[start : start + 500], start=start):
                add(tar, f"{number:06}.jpg", content)
                add(tar, f"{number:06}.cls", str(number % CLASSES).encode())
    return True


def as_saved(contents: list[bytes], root: Path) -> bool:
    """By `save_to_disk`, where the extra is installed."""
    found = as_dataset(contents)
    if found is None:
        return False
    with redirect_stdout(sys.stderr):
        found.save_to_disk(str(root))
    return True


def as_parquet(contents: list[bytes], root: Path) -> bool:
    """Parquet with row groups of 100, as the hub has them."""
    found = as_dataset(contents)
    if found is None:
        return False
    root.mkdir()
    found.to_parquet(str(root / "train-00000-of-00001.parquet"), batch_size=100)
    return True


def as_dataset(contents: list[bytes]) -> Any:
    """The library's own value; None without the library."""
    try:
        import datasets
    except ImportError:
        return None
    datasets.disable_progress_bars()
    names = [f"class{number}" for number in range(CLASSES)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    rows = {
        "image": [{"bytes": content, "path": None} for content in contents],
        "label": [number % CLASSES for number in range(len(contents))],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def batches(root: Path, cache: Path, pictures: int) -> dict[str, dict[str, float]]:
    """Pictures a second in batches of a streamed set, nothing else done."""
    data = load(root, cache=cache, resolution=STREAMED_PX, stream=True)
    figures = {}
    print(f"streamed at {STREAMED_PX} px       pictures/s   a CPU second")
    for name, recipe in (
        ("centre squares", Recipe(pictures)),
        ("random crops", Recipe(pictures, shift=0.07, flip=True)),
    ):
        with timed() as spent:
            brought = sum(len(labels) for _, labels in training_batches(data.train, recipe, np.random.default_rng(0)))
        figures[name] = {"a_second": brought / spent["wall_s"], "a_cpu_second": brought / spent["cpu_s"]}
        print(f"{name:22}{figures[name]['a_second']:11,.0f}{figures[name]['a_cpu_second']:15,.0f}")
    print()
    return figures


def listing(root: Path, samples: int) -> dict[str, float]:
    """Samples of a shard found a second; their pictures are not opened."""
    root.mkdir()
    path = root / "train-0.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(samples):
            add(tar, f"{number:08}.jpg", b"\xff\xd8")
            add(tar, f"{number:08}.cls", str(number % CLASSES).encode())
    with timed() as spent:
        found = list_shards(root, {"train": [path]})
    assert len(found) == samples
    print(f"shards listed: {samples / spent['cpu_s']:,.0f} samples a CPU second")
    return {"samples_a_cpu_second": samples / spent["cpu_s"]}


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """One member."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Wall and CPU time of a block, s."""
    wall, cpu = time.perf_counter(), time.process_time()
    spent: dict[str, float] = {}
    yield spent
    spent |= {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def conditions(pictures: int) -> dict[str, Any]:
    """Machine, versions and date."""
    return {
        "pictures": pictures,
        "cores": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "pillow": PIL.__version__,
        "torchvision": torchvision.__version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    main()

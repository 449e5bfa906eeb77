"""Makes nasfit/tasks/data/fashion-mnist-small.npz from the full Fashion-MNIST.

    python tools/make_fashion_subset.py FOLDER_WITH_THE_IDX_FILES nasfit/tasks/data/fashion-mnist-small.npz

Draws 1,000 train and 200 test pictures of each class with a fixed seed, shuffled; the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from nasfit.tasks.dataset import Split
from nasfit.tasks.idx import find_idx, read_idx_set

TRAIN_A_CLASS, TEST_A_CLASS, SEED = 1_000, 200, 0


def drawn(split: Split, a_class: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`a_class` pictures (N, 28, 28) of each class and their labels, both uint8, in shuffled order."""
    chosen = [generator.choice(np.flatnonzero(split.labels_N == label), a_class, replace=False) for label in range(10)]
    rows = generator.permutation(np.concatenate(chosen))
    return split.images_NHWC[rows, :, :, 0], split.labels_N[rows].astype(np.uint8)


def main() -> None:
    """Read the two arguments, write the file, print its size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the four idx files are, plain or .gz")
    parser.add_argument("target", type=Path, help="the .npz file to write")
    arguments = parser.parse_args()
    files = find_idx(arguments.folder)
    if files is None:
        parser.error(f"no idx files in {arguments.folder}")
    generator = np.random.default_rng(SEED)
    train, test = read_idx_set(files)
    train_images, train_labels = drawn(train, TRAIN_A_CLASS, generator)
    test_images, test_labels = drawn(test, TEST_A_CLASS, generator)
    np.savez_compressed(
        arguments.target,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
    )
    print(f"{arguments.target}: {arguments.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()

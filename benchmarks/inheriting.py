"""What weights inherited from its promotion are worth to a network's final training.

    python benchmarks/inheriting.py --data cifar10-folder [--networks 3] [--images 100000]
    python benchmarks/inheriting.py --quick            # tells nothing but that it runs

Random networks of the space are trained as the finale trains them, from fresh weights and from those of a promotion, on
as many pictures each. Printed: both test accuracies. What inherited weights are worth to a trial, `trials.py` tells;
this module has the evaluator's scores for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

# Set before numpy and torch start their pools.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

from facts import document
from timed_training import timed
from trials_rows import architectures

from nasfit.search.finale import PROMOTION_FACTOR
from nasfit.search.inherited import CHILD_SHARE, PARENTS, child_recipe, closest
from nasfit.tasks import load, open_saved
from nasfit.training import Recipe, TrainingJob, recipe_for
from nasfit.workers import Pool, available_cores

PROMOTED_SHARE = 0.1  # of a full training: what a trial of the longest kind takes


@dataclass(frozen=True)
class Final:
    """Test accuracies of one network; promoted: pictures that the inherited weights had seen before."""

    architecture: str
    images: int
    promoted: int
    scratch: float
    inherited: float


def inherited_scores(
    networks: Sequence[str], data_directory: Path, images_per_architecture: int, seed: int
) -> tuple[list[float], float]:
    """Validation accuracies as the evaluator `inherit` finds them, in order, and seconds of one core for all of them.

    images_per_architecture: of each network's own training; the parents, the first of the networks, train longer
    before, as in a search.
    """
    pictures = len(open_saved(data_directory).train.labels_N)
    parents = list(dict.fromkeys(networks))[:PARENTS]
    with TemporaryDirectory() as folder, Pool(available_cores()) as pool:
        files = {text: str(Path(folder) / f"{place}.safetensors") for place, text in enumerate(parents)}
        alone = recipe_for(round(images_per_architecture / CHILD_SHARE), pictures)
        first = [TrainingJob(text, str(data_directory), alone, 0, weights=files[text]) for text in parents]
        brief = child_recipe(alone)
        starts = [files[closest(text, [other for other in parents if other != text] or parents)] for text in networks]
        children = [
            TrainingJob(text, str(data_directory), brief, seed, start=start)
            for text, start in zip(networks, starts, strict=True)
        ]
        reared, trained = timed(pool, first), timed(pool, children)
    return [accuracy for accuracy, _ in trained], sum(seconds for _, seconds in (*reared, *trained))


def main() -> None:
    """Train, print the table."""
    options = _options()
    with redirect_stdout(sys.stderr) if options.json else nullcontext(), TemporaryDirectory() as folder:
        data = load(options.data, cache=Path(folder))
        assert data.directory is not None, "loaded data lies on disk"
        recipe = recipe_for(options.images, len(data.train.labels_N) + len(data.validation.labels_N))
        finals = _finals(architectures(data, options.networks), data.directory, recipe)
        for final in finals:
            gain = 100 * (final.inherited - final.scratch)
            print(f"{100 * final.scratch:.2f} % fresh, {100 * final.inherited:.2f} % inherited ({gain:+.2f} points)")
    if options.json:
        print(document(options, finals=[*map(asdict, finals)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help="name or folder of pictures")
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--images", type=int, default=100_000, help="pictures of a final training")
    parser.add_argument("--quick", action="store_true", help="2 networks, 640 pictures")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the table to stderr")
    options = parser.parse_args()
    if options.quick:
        options.data, options.networks, options.images = "fashion-mnist-small", 2, 640
    return options


def _finals(networks: Sequence[str], directory: Path, recipe: Recipe) -> list[Final]:
    """The final training of each from fresh weights and from its promotion's."""
    promotion = recipe_for(
        round(PROMOTION_FACTOR * PROMOTED_SHARE * recipe.images), len(open_saved(directory).train.labels_N)
    )
    with TemporaryDirectory() as folder, Pool(available_cores()) as pool:
        files = [str(Path(folder) / f"{place}.safetensors") for place in range(len(networks))]
        timed(
            pool,
            [
                TrainingJob(text, str(directory), promotion, 1, weights=file)
                for text, file in zip(networks, files, strict=True)
            ],
        )
        fresh = [TrainingJob(text, str(directory), recipe, 1, final=True) for text in networks]
        ahead = [replace(job, start=file) for job, file in zip(fresh, files, strict=True)]
        found = [accuracy for accuracy, _ in timed(pool, [*fresh, *ahead])]
    pairs = zip(networks, found[: len(networks)], found[len(networks) :], strict=True)
    return [Final(text, recipe.images, promotion.images, *pair) for text, *pair in pairs]


if __name__ == "__main__":
    main()

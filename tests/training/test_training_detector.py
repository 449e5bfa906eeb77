"""The training of a detector: the same pictures whenever asked, the same weights however often it was stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from nasfit.architecture import Architecture, Detector, adapted, detector_on
from nasfit.errors import DataError, TrainingError, WeightsError
from nasfit.models import build, read_tensors
from nasfit.tasks import DetectionData, load_detection
from nasfit.training.backbone_file import backbone_weights
from nasfit.training.detection_batches import Augmented, Draw, draws
from nasfit.training.detection_scoring import detections, scores_on
from nasfit.training.detector_training import DetectionRecipe, Normalisation, detector_training, load_backbone
from nasfit.training.full_training import BEST, LAST, Training, full_training
from nasfit.training.training_events import EpochEnded, Saved

TINY = Architecture.parse(
    "in3@224 stem8s2 | sepconv k3 s1 se0 none f8 n1 | mbconv3 k3 s2 se0 none f16 n1 | mbconv3 k3 s2 se0 none f16 n1 | "
    "mbconv3 k3 s2 se0.25 none f24 n1 | sepconv k3 s1 se0 none f24 n1 | mbconv3 k3 s2 se0 none f24 n1 | "
    "head32 out10 relu"
)
RECIPE = DetectionRecipe(epochs=2, batch=4)
NORMAL = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def marked_squares(root: Path, number: int = 16, size: int = 80) -> Path:
    """White squares (class `white`) and red ones (`red`) on black, one or two a picture, and one picture of nothing."""
    generator = np.random.default_rng(0)
    root.mkdir(parents=True)
    for index in range(number):
        pixels, things = np.zeros((size, size, 3), np.uint8), ""
        for half in range(index % 3):
            side = int(generator.integers(18, 36))
            left, top = half * 40 + int(generator.integers(0, 40 - side)), int(generator.integers(0, size - side))
            is_red = bool(generator.integers(2)) if half else index % 2 == 0
            pixels[top : top + side, left : left + side] = (255, 0, 0) if is_red else 255
            corners = zip(("xmin", "ymin", "xmax", "ymax"), (left, top, left + side, top + side), strict=True)
            box = "".join(f"<{name}>{value}</{name}>" for name, value in corners)
            things += f"<object><name>{'red' if is_red else 'white'}</name><bndbox>{box}</bndbox></object>"
        Image.fromarray(pixels).save(root / f"{index:02}.png")
        (root / f"{index:02}.xml").write_text(f"<annotation>{things}</annotation>")
    return root


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> DetectionData:
    root = tmp_path_factory.mktemp("squares")
    return load_detection(marked_squares(root / "set"), cache=root / "cache", resolution=64)


def detector(data: DetectionData) -> Detector:
    return detector_on(TINY, classes=len(data.classes), resolution=64)


def made(data: DetectionData, **options: object) -> Training:
    recipe = replace(RECIPE, **options)
    return detector_training(detector(data), data, recipe, seed=5, device=torch.device("cpu"), normalisation=NORMAL)


def run(training: Training, folder: Path, stop_after: int | None = None) -> None:
    folder.mkdir(exist_ok=True)
    start = folder / LAST
    for event in full_training(
        training,
        keep=lambda name, content: (folder / name).write_bytes(content),
        start=start if start.exists() else None,
        saved_every_s=0,
    ):
        if isinstance(event, Saved) and event.step == stop_after:
            break


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_training_that_was_stopped_ends_with_the_same_bits(
    squares: DetectionData, accumulate: int, tmp_path: Path
) -> None:
    options = {"accumulate": accumulate, "batch": 4 // accumulate}
    run(made(squares, **options), tmp_path / "whole")
    for stop in (1, 3, None):
        run(made(squares, **options), tmp_path / "parts", stop)
    for name in (LAST, BEST):
        (whole, told), (parts, told_too) = (read_tensors(tmp_path / run / name) for run in ("whole", "parts"))
        assert told == told_too and whole.keys() == parts.keys()
        assert all(torch.equal(value, parts[key]) for key, value in whole.items())


def test_equal_draws_show_equal_pictures(squares: DetectionData) -> None:
    dataset = Augmented(str(squares.directory), "train", 64, flip=True)
    before = torch.random.get_rng_state()
    shown = [dataset[Draw(row=2, seed=seed)] for seed in (7, 7, 8)]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(shown[0][0], shown[1][0])
    assert not torch.equal(shown[0][0], shown[2][0])


def test_boxes_stay_on_what_they_mark(squares: DetectionData) -> None:
    """Whatever the crop, most of a box is lighter than what is outside all boxes."""
    dataset = Augmented(str(squares.directory), "train", 64, flip=True)
    for seed in range(12):
        image, target = dataset[Draw(seed % len(squares.train), seed)]
        assert image.shape == (3, 64, 64)
        assert image.min() >= 0 and image.max() <= 1
        boxes = target["boxes"]
        assert len(boxes) == len(target["labels"])
        assert ((boxes >= 0) & (boxes <= 64)).all()
        outside = torch.ones(64, 64, dtype=torch.bool)
        brightest = image.max(0).values
        for left, top, right, bottom in boxes.round().int().tolist():
            outside[max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = False
            inside = brightest[top + 2 : bottom - 2, left + 2 : right - 2]
            assert inside.numel() == 0 or inside.mean() > brightest[outside].mean() + 0.1


def test_what_is_red_stays_red(squares: DetectionData) -> None:
    """Swapped channels would make one class of another, where a colour tells them apart."""
    dataset = Augmented(str(squares.directory), "train", 64, flip=True)
    shown = 0
    for seed in range(24):
        image, target = dataset[Draw(seed % len(squares.train), seed)]
        for box, label in zip(target["boxes"].round().int().tolist(), target["labels"].tolist(), strict=True):
            left, top, right, bottom = box
            inside = image[:, top + 2 : bottom - 2, left + 2 : right - 2]
            if squares.classes[label - 1] == "red" and inside.numel():
                shown += 1
                assert inside[0].mean() > inside[1].mean() and inside[0].mean() > inside[2].mean()
    assert shown > 5


def test_the_recipe_learns_from_the_first_steps_on(squares: DetectionData) -> None:
    """A tenth of the rate ends above 9."""
    events = full_training(made(squares, epochs=30), keep=lambda name, content: None)
    losses = [event.row["loss"] for event in events if isinstance(event, EpochEnded)]
    assert losses[0] > 8.5 and sum(losses[-10:]) / 10 < 8


def test_every_picture_is_shown_before_any_comes_again() -> None:
    shown = [draw.row for batch in draws(10, epoch=3, steps=4, batch=5, seed=1) for draw in batch]
    assert sorted(shown[:10]) == sorted(shown[10:]) == list(range(10))
    assert shown[:10] != shown[10:]
    assert draws(10, epoch=3, steps=4, batch=5, seed=1) == draws(10, epoch=3, steps=4, batch=5, seed=1)
    assert draws(10, epoch=4, steps=4, batch=5, seed=1) != draws(10, epoch=3, steps=4, batch=5, seed=1)


def test_detections_are_in_pixels_of_the_original(squares: DetectionData) -> None:
    training = made(squares)
    found = detections(training.network, squares.validation, 64)
    assert len(found) == len(squares.validation)
    assert all(each.boxes_M4.min() >= 0 and each.boxes_M4.max() <= 80 for each in found if len(each.scores_M))
    assert max(each.boxes_M4.max() for each in found) > 64
    assert training.network.training
    scores = scores_on(training.network, squares.validation, squares.classes, 64)
    assert 0 <= scores.map <= scores.map_50 <= 1


def test_a_classification_network_of_small_pictures_is_a_backbone(squares: DetectionData, tmp_path: Path) -> None:
    small = adapted(TINY, resolution=32, channels=3, classes=10)
    torch.manual_seed(1)
    trained = build(small)
    told = {"architecture": str(small), "mean": json.dumps([0.1, 0.2, 0.3]), "std": json.dumps([0.4, 0.5, 0.6])}
    save_file({name: value.contiguous() for name, value in trained.state_dict().items()}, tmp_path / "w", told)
    weights, normalisation = backbone_weights(tmp_path / "w", detector(squares))
    assert normalisation == Normalisation((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    training = detector_training(
        detector(squares),
        squares,
        RECIPE,
        seed=0,
        device=torch.device("cpu"),
        normalisation=normalisation,
        backbone=weights,
    )
    own = training.network.backbone.state_dict()
    assert all(torch.equal(own[name], value) for name, value in trained.state_dict().items() if name in own)
    assert torch.equal(own["head.0.weight"], trained.head[0].weight)


def test_other_weights_are_refused(squares: DetectionData, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    wanted = detector(squares)
    with pytest.raises(WeightsError, match="no file"):
        backbone_weights(file, wanted)
    file.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="damaged or cut off"):
        backbone_weights(file, wanted)
    tensors = {"a": torch.zeros(1)}
    for told, message in (
        ({}, "does not say of which network"),
        ({"architecture": str(replace(TINY, head_filters=40))}, "weights of another network"),
        ({"architecture": str(replace(TINY, channels=1))}, r"pictures of 1 channel"),
        (
            {"architecture": str(adapted(replace(TINY, blocks=TINY.blocks[:3]), resolution=32, channels=3, classes=2))},
            "that no detector takes",
        ),
    ):
        save_file(tensors, file, told)
        with pytest.raises(TrainingError, match=message):
            backbone_weights(file, wanted)
    with pytest.raises(TrainingError, match=r"weights stem.0.weight of the backbone are not there"):
        load_backbone(made(squares).network.backbone, tensors)
    with pytest.raises(TrainingError, match=r"have the shape \(1,\), wanted is \(8, 3, 3, 3\)"):
        load_backbone(made(squares).network.backbone, {"stem.0.weight": torch.zeros(1)})


def test_validation_pictures_need_a_box(tmp_path: Path) -> None:
    root = marked_squares(tmp_path / "set")
    (root / "train").mkdir()
    (root / "val").mkdir()
    for path in sorted(root.glob("*.*")):
        path.rename(root / ("val" if path.stem == "00" else "train") / path.name)
    data = load_detection(root, cache=tmp_path / "cache", resolution=64)
    with pytest.raises(DataError, match="no box is marked in the validation pictures"):
        made(data)

import numpy as np
import torch

from nasfit.tasks import Split
from nasfit.training import Recipe, as_images, normalised
from nasfit.training.batches import order, plain_batches, training_batches

STILL = Recipe(images=0, batch=8, shift=0.0, flip=False)


def numbered_split(number: int = 20, side: int = 6) -> Split:
    """Pictures whose pixels tell which picture, row and column they are."""
    images = np.arange(number * side * side, dtype=np.uint16).reshape(number, side, side, 1)
    return Split((images % 251).astype(np.uint8), np.arange(number, dtype=np.int64) % 5)


def test_every_picture_comes_once_before_any_comes_twice() -> None:
    drawn = order(10, 25, np.random.default_rng(0))
    assert sorted(drawn[:10]) == list(range(10)) == sorted(drawn[10:20])
    assert len(set(drawn[20:])) == 5
    assert list(drawn[:10]) != list(range(10))


def test_batches_hold_the_wanted_number_of_pictures_with_their_labels() -> None:
    split = numbered_split()
    batches = list(training_batches(split, STILL.lasting(30), np.random.default_rng(1)))
    assert [len(labels) for _, labels in batches] == [8, 8, 8]
    for images_BCHW, labels_B in batches:
        assert images_BCHW.shape == (8, 1, 6, 6)
        for image_CHW, label in zip(images_BCHW, labels_B, strict=True):
            index = next(i for i in range(20) if np.array_equal(split.images_NHWC[i, :, :, 0], image_CHW[0]))
            assert split.labels_N[index] == label


def test_a_batch_is_never_larger_than_the_split() -> None:
    (images_BCHW, _), *_ = training_batches(numbered_split(5), STILL.lasting(8), np.random.default_rng(0))
    assert len(images_BCHW) == 5


def test_shifts_stay_within_reach_and_repeat_edge_pixels() -> None:
    side, number = 10, 64
    columns = np.broadcast_to(np.arange(side, dtype=np.uint8)[None, None, :, None], (number, side, side, 1))
    split = Split(np.ascontiguousarray(columns), np.zeros(number, dtype=np.int64))
    recipe = Recipe(images=number, batch=number, shift=0.2, flip=False)
    ((images_BCHW, _),) = training_batches(split, recipe, np.random.default_rng(0))
    firsts, lasts = images_BCHW[:, 0, 0, 0], images_BCHW[:, 0, 0, -1]
    assert set(firsts.tolist()) == {0, 1, 2}
    assert set(lasts.tolist()) == {7, 8, 9}
    assert (images_BCHW.diff(dim=3) >= 0).all()


def test_about_half_the_pictures_are_mirrored() -> None:
    side, number = 4, 400
    columns = np.broadcast_to(np.arange(side, dtype=np.uint8)[None, None, :, None], (number, side, side, 1))
    split = Split(np.ascontiguousarray(columns), np.zeros(number, dtype=np.int64))
    recipe = Recipe(images=number, batch=number, shift=0.0, flip=True)
    ((images_BCHW, _),) = training_batches(split, recipe, np.random.default_rng(0))
    mirrored = (images_BCHW[:, 0, 0, 0] == side - 1).sum().item()
    assert 150 < mirrored < 250


def test_plain_batches_give_all_pictures_in_order() -> None:
    split = numbered_split(7)
    labels = torch.cat([labels_B for _, labels_B in plain_batches(split, 3)])
    images = torch.cat([images_BCHW for images_BCHW, _ in plain_batches(split, 3)])
    assert labels.tolist() == split.labels_N.tolist()
    assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), split.images_NHWC)


def test_normalised_by_channel_in_channels_last_memory() -> None:
    pixels = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    pixels[..., 1] = 255
    images_BCHW = normalised(as_images(pixels), mean=(0.5, 0.5, 0.0), std=(0.5, 0.25, 1.0))
    assert images_BCHW.is_contiguous(memory_format=torch.channels_last)
    assert images_BCHW[0, :, 0, 0].tolist() == [-1.0, 2.0, 0.0]

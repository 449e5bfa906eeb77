from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasfit.tasks.decoding import decode, fit_arrays, quiet_pillow, shorter_side

SIDE = 32

Paint = Callable[..., Path]


def decoded(path: Path, resolution: int = SIDE) -> np.ndarray:
    result = decode(str(path), resolution)
    assert not isinstance(result, str), result
    assert result.shape == (resolution, resolution, 3)
    assert result.dtype == np.uint8
    return result


def reason(path: Path) -> str:
    result = decode(str(path), SIDE)
    assert isinstance(result, str)
    return result


def plain(colour: tuple[int, ...] | int, mode: str = "RGB", size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    return Image.new(mode, size, colour)


def test_pictures_of_the_right_size_are_not_touched(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(decoded(tmp_path / "a.png"), pixels)


@pytest.mark.parametrize("extension", ["jpg", "JPEG", "png", "webp", "bmp"])
def test_every_format_gives_its_colour(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"a.{extension}"
    plain((200, 100, 50), size=(90, 60)).save(path)
    assert np.abs(decoded(path).astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize(
    ("image", "extension", "expected"),
    [
        (plain(90, "L"), "png", (90, 90, 90)),
        (plain(1, "1"), "png", (255, 255, 255)),
        (plain((200, 0, 0, 0), "RGBA"), "png", (255, 255, 255)),
        (plain((200, 0, 0, 255), "RGBA"), "webp", (200, 0, 0)),
        (plain((0, 0, 0, 128), "RGBA"), "png", (127, 127, 127)),
        (plain((0, 0), "LA"), "png", (255, 255, 255)),
        (plain((10, 20, 30)).quantize(4), "png", (10, 20, 30)),
        (plain((0, 255, 255, 0), "CMYK"), "jpg", (255, 0, 0)),
        (plain(0x8080, "I;16"), "png", (128, 128, 128)),
        (plain(0xFFFF, "I;16"), "png", (255, 255, 255)),
        (plain(257 * 40, "I;16"), "png", (40, 40, 40)),
    ],
    ids=["grey", "bits", "clear", "opaque", "half", "clear-grey", "palette", "cmyk", "16-mid", "16-white", "16-dark"],
)
def test_every_mode_gives_its_colour(
    tmp_path: Path, image: Image.Image, extension: str, expected: tuple[int, int, int]
) -> None:
    image.save(tmp_path / f"a.{extension}", **({"quality": 95} if extension == "jpg" else {}))
    assert np.abs(decoded(tmp_path / f"a.{extension}").astype(int) - expected).max() <= 3


def test_transparent_colour_of_a_palette_is_white(tmp_path: Path) -> None:
    plain((10, 20, 30)).quantize(2).save(tmp_path / "a.png", transparency=bytes([0, 0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decoded(tmp_path / "a.png").min() == 255


def test_sixteen_bit_colour_is_scaled(tmp_path: Path) -> None:
    row = b"\0" + struct.pack(">3H", 0xFFFF, 0x8000, 0x0100) * SIDE
    (tmp_path / "a.png").write_bytes(png(SIDE, SIDE, zlib.compress(row * SIDE), bits=16))
    assert np.abs(decoded(tmp_path / "a.png").astype(int) - (255, 128, 1)).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int) -> None:
    """Stored so that any viewer shows the same picture: red at the top left, blue at the top right."""
    upright = np.full((SIDE, SIDE, 3), 255, np.uint8)
    upright[: SIDE // 2, : SIDE // 2] = (255, 0, 0)
    upright[: SIDE // 2, SIDE // 2 :] = (0, 0, 255)
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(undo(upright))).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(decoded(tmp_path / "a.png"), upright)


def test_damaged_exif_is_no_reason_to_lose_a_picture(tmp_path: Path) -> None:
    plain((9, 9, 9)).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    with quiet_pillow():
        assert decoded(tmp_path / "a.png").max() == 9


def test_wide_pictures_are_cropped_at_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((SIDE, 3 * SIDE, 3), np.uint8)
    pixels[:, SIDE : 2 * SIDE] = 200
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert decoded(tmp_path / "a.png").min() == 200


def test_shrinking_is_antialiased(tmp_path: Path) -> None:
    checks = (np.indices((512, 512)).sum(axis=0) % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(tmp_path / "a.png")
    inner = decoded(tmp_path / "a.png")[4:-4, 4:-4]
    assert abs(inner.mean() - 127.5) < 2
    assert inner.std() < 3


def test_a_large_jpeg_is_decoded_small_yet_right(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 1600).astype(np.uint8)
    Image.fromarray(np.broadcast_to(ramp, (1600, 1600)).copy()).convert("RGB").save(tmp_path / "a.jpg", quality=95)
    expected = ramp.reshape(SIDE, -1).mean(axis=1)
    assert np.abs(decoded(tmp_path / "a.jpg")[:, :, 0] - expected).max() <= 4


def test_a_jpeg_is_never_decoded_smaller_than_needed(tmp_path: Path, paint: Paint) -> None:
    whole = Image.open(paint(tmp_path / "a.jpg", size=(8 * SIDE, 8 * SIDE)))
    expected = np.asarray(whole.resize((SIDE * 2, SIDE * 2), Image.Resampling.BICUBIC)).astype(float)
    got = decoded(tmp_path / "a.jpg", SIDE * 2)
    assert got.std() > 0.9 * expected.std()
    assert np.abs(got - expected).mean() < 0.3 * expected.std()


def test_large_but_allowed_pictures_pass_in_silence(
    tmp_path: Path, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = paint(tmp_path / "a.png", size=(40, 40))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet_pillow():
            decoded(path)


def test_small_pictures_are_enlarged(tmp_path: Path) -> None:
    plain((1, 2, 3), size=(5, 9)).save(tmp_path / "a.png")
    assert (decoded(tmp_path / "a.png") == (1, 2, 3)).all()


def png(width: int, height: int, pixels: bytes, bits: int = 8) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(30_000, 30_000, zlib.compress(b"")))
    assert "too large" in reason(tmp_path / "a.png")


def test_our_own_limit_holds_where_pillows_was_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "a.png").write_bytes(png(30_000, 30_000, zlib.compress(b"")))
    assert "30000 x 30000" in reason(tmp_path / "a.png")


def test_unreadable_files_have_a_reason(tmp_path: Path, paint: Paint) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    assert "not a JPEG" in reason(tmp_path / "text.jpg")
    whole = paint(tmp_path / "whole.jpg", size=(200, 200)).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in reason(tmp_path / "cut.jpg")
    whole = paint(tmp_path / "whole.png", size=(200, 200)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    assert "damaged" in reason(tmp_path / "cut.png")
    assert "No such file" in reason(tmp_path / "gone.png")


def test_other_formats_are_refused_whatever_they_are_called(tmp_path: Path) -> None:
    plain(3, "L").save(tmp_path / "a.gif")
    (tmp_path / "a.gif").rename(tmp_path / "a.png")
    assert "not a JPEG" in reason(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert "not a JPEG" in reason(tmp_path / "b.jpg")


def test_shorter_side_reads_the_header(tmp_path: Path, paint: Paint) -> None:
    assert shorter_side(str(paint(tmp_path / "a.png", size=(40, 30)))) == 30
    (tmp_path / "b.png").write_bytes(b"x")
    assert shorter_side(str(tmp_path / "b.png")) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_are_resized_like_files(channels: int) -> None:
    images = np.full((3, 28, 28, channels), 77, np.uint8)
    assert fit_arrays(images, 28) is images
    resized = fit_arrays(images, 40)
    assert resized.shape == (3, 40, 40, channels)
    assert (resized == 77).all()

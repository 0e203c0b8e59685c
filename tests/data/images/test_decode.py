import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from t2f.data.images.decode import decode, parallel_map
from t2f.utils.errors import UserError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quadrants(width: int = 16, height: int = 16) -> Image.Image:
    """Quadrants: red and green above, blue and white below."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(file: bytes) -> list[tuple[int, ...]]:
    """The corner pixels of the decoded image: top left, top right, bottom left, bottom right."""
    pixels = decode(file, 8, 1.0)
    assert pixels.shape == (3, 8, 8)
    assert pixels.dtype == np.uint8
    return [tuple(pixels[:, y, x].tolist()) for y in (0, -1) for x in (0, -1)]


def close(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]], tolerance: int = 4) -> bool:
    return bool(np.abs(np.array(found) - np.array(expected)).max() <= tolerance)


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_exif_orientation_is_applied(orientation: int, expected: list[tuple[int, ...]]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encoded(quadrants(64, 64), "JPEG", exif=exif, quality=95, subsampling=0)
    assert close(corners(file), expected, 12)


def test_the_crop_is_relative_to_the_width_after_rotation() -> None:
    """A portrait image stored as landscape: the square has the full width and the middle of the height."""
    landscape = Image.new("RGB", (40, 20), RED)
    landscape.paste(GREEN, (10, 0, 30, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert close(corners(encoded(landscape, exif=exif)), [GREEN] * 4)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (9, 9), 100), (100,) * 3),
        (Image.new("1", (9, 9), 1), WHITE),
        (quadrants().convert("P", palette=Image.Palette.ADAPTIVE).resize((9, 9)), None),
        (Image.fromarray(np.full((9, 9), 100 * 257, np.uint16)), (100,) * 3),
        (Image.new("RGBA", (9, 9), (255, 0, 0, 0)), WHITE),
        (Image.new("RGBA", (9, 9), (255, 0, 0, 128)), (255, 127, 127)),
        (Image.new("LA", (9, 9), (0, 64)), (191,) * 3),
    ],
    ids=["gray", "black and white", "palette", "16 bit gray", "transparent", "half transparent", "gray and alpha"],
)
def test_png_modes(image: Image.Image, expected: tuple[int, ...] | None) -> None:
    assert close(corners(encoded(image)), [expected] * 4 if expected else [RED, GREEN, BLUE, WHITE], 2)


def test_a_16_bit_gradient_is_scaled_to_8_bits() -> None:
    ramp = np.tile(np.linspace(0, 65535, 8).astype(np.uint16), (8, 1))
    pixels = decode(encoded(Image.fromarray(ramp)), 8, 1.0)
    assert np.abs(pixels[0, 0].astype(int) - np.linspace(0, 255, 8)).max() <= 1


def test_a_transparent_palette_color_becomes_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert close(corners(encoded(image, transparency=0)), [WHITE] * 4)
    assert close(corners(encoded(image, "GIF", transparency=0)), [WHITE] * 4)
    assert close(corners(encoded(image)), [RED] * 4)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "CMYK"), ("TIFF", "CMYK"), ("JPEG", "L"), ("WEBP", "RGB")])
def test_other_formats(kind: str, mode: str) -> None:
    gray = Image.new("RGB", (16, 16), (100,) * 3).convert(mode)
    assert close(corners(encoded(gray, kind)), [(100,) * 3] * 4, 3)


def smooth(width: int, height: int) -> Image.Image:
    """A smooth image with the same content at any size."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    channels = [np.sin(5 * x + 3 * y), np.cos(7 * y - x), np.sin(9 * x * y)]
    return Image.fromarray((127.5 + 127.5 * np.stack(channels, -1)).astype(np.uint8))


@pytest.mark.parametrize("crop", [1.0, 0.719, 0.607, 0.3])
def test_a_fractional_crop_does_not_depend_on_the_image_size(crop: float) -> None:
    full, half = (decode(encoded(smooth(*size)), 32, crop) for size in ((178, 218), (89, 109)))
    assert np.abs(full.astype(int) - half).max() <= 3


def test_the_crop_is_centered_and_relative_to_the_width() -> None:
    image = Image.new("RGB", (20, 30), RED)
    image.paste(GREEN, (5, 10, 15, 20))
    inside: npt.NDArray[np.uint8] = decode(encoded(image), 8, 0.5)
    assert np.array_equal(inside, np.broadcast_to(np.array(GREEN)[:, None, None], (3, 8, 8)))
    assert corners(encoded(image)) == [RED] * 4


def test_the_square_is_at_most_as_high_as_the_image() -> None:
    image = Image.new("RGB", (40, 10), RED)
    image.paste(GREEN, (15, 0, 25, 10))
    assert close(corners(encoded(image)), [GREEN] * 4)
    assert np.array_equal(decode(encoded(image), 8, 0.5), decode(encoded(image), 8, 1.0))


def test_a_crop_by_width_leaves_other_widths_whole() -> None:
    """The central 128 of 250 pixels; an image of another width is not cropped."""
    image = Image.new("RGB", (250, 250), RED)
    image.paste(GREEN, (61, 61, 189, 189))
    assert np.array_equal(decode(encoded(image), 8, {250: 0.512}), decode(encoded(image), 8, 0.512))
    assert decode(encoded(image), 8, {250: 0.512})[:, 0, 0].tolist() == list(GREEN)
    assert decode(encoded(image.resize((128, 128))), 8, {250: 0.512})[:, 0, 0].tolist() == list(RED)


def test_downsampling_does_not_alias() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(decode(encoded(Image.fromarray(stripes)), 8, 1.0).astype(int) - 127).max() <= 2


def test_a_large_jpeg_decodes_like_a_png() -> None:
    large = smooth(1600, 2000)
    as_jpeg, as_png = decode(encoded(large, "JPEG", quality=95), 16, 0.8), decode(encoded(large), 16, 0.8)
    assert np.abs(as_jpeg.astype(int) - as_png).max() <= 4


def test_a_worker_that_dies_raises() -> None:
    with pytest.raises(UserError, match=r"died, because memory is short .*: set data\.workers=1\.$"):
        list(parallel_map(os._exit, [3], workers=2))

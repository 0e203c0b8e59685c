import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from t2f.data.images.decode import decode, in_parallel
from t2f.utils.errors import UserError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(width: int = 16, height: int = 16) -> Image.Image:
    """Red and green above, blue and white below."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def content(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(picture: bytes) -> list[tuple[int, ...]]:
    """The four corner pixels of the decoded picture, as they are read."""
    pixels = decode(picture, 8, 1.0)
    assert pixels.shape == (3, 8, 8)
    assert pixels.dtype == np.uint8
    return [tuple(pixels[:, y, x].tolist()) for y in (0, -1) for x in (0, -1)]


def near(found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]], tolerance: int = 4) -> bool:
    return bool(np.abs(np.array(found) - np.array(expected)).max() <= tolerance)


# --- one picture -----------------------------------------------------------------------------------------------------


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
def test_pictures_are_turned_as_their_exif_data_say(orientation: int, expected: list[tuple[int, ...]]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = content(quarters(64, 64), "JPEG", exif=exif, quality=95, subsampling=0)
    assert near(corners(picture), expected, 12)


def test_the_crop_follows_the_width_after_turning() -> None:
    """A tall picture that was taken lying: its square is the middle of the height, all of the width."""
    lying = Image.new("RGB", (40, 20), RED)
    lying.paste(GREEN, (10, 0, 30, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert near(corners(content(lying, exif=exif)), [GREEN] * 4)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (9, 9), 100), (100,) * 3),
        (Image.new("1", (9, 9), 1), WHITE),
        (quarters().convert("P", palette=Image.Palette.ADAPTIVE).resize((9, 9)), None),
        (Image.fromarray(np.full((9, 9), 100 * 257, np.uint16)), (100,) * 3),
        (Image.new("RGBA", (9, 9), (255, 0, 0, 0)), WHITE),
        (Image.new("RGBA", (9, 9), (255, 0, 0, 128)), (255, 127, 127)),
        (Image.new("LA", (9, 9), (0, 64)), (191,) * 3),
    ],
    ids=["grey", "black and white", "palette", "16 bit grey", "transparent", "half transparent", "grey and alpha"],
)
def test_modes_of_png(image: Image.Image, expected: tuple[int, ...] | None) -> None:
    assert near(corners(content(image)), [expected] * 4 if expected else [RED, GREEN, BLUE, WHITE], 2)


def test_a_16_bit_gradient_keeps_its_greys() -> None:
    ramp = np.tile(np.linspace(0, 65535, 8).astype(np.uint16), (8, 1))
    pixels = decode(content(Image.fromarray(ramp)), 8, 1.0)
    assert np.abs(pixels[0, 0].astype(int) - np.linspace(0, 255, 8)).max() <= 1


def test_a_transparent_palette_colour_becomes_white() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert near(corners(content(image, transparency=0)), [WHITE] * 4)
    assert near(corners(content(image, "GIF", transparency=0)), [WHITE] * 4)
    assert near(corners(content(image)), [RED] * 4)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "CMYK"), ("TIFF", "CMYK"), ("JPEG", "L"), ("WEBP", "RGB")])
def test_other_kinds_of_files(kind: str, mode: str) -> None:
    grey = Image.new("RGB", (16, 16), (100,) * 3).convert(mode)
    assert near(corners(content(grey, kind)), [(100,) * 3] * 4, 3)


def portrait(width: int, height: int) -> Image.Image:
    """A smooth picture, the same at each size."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    channels = [np.sin(5 * x + 3 * y), np.cos(7 * y - x), np.sin(9 * x * y)]
    return Image.fromarray((127.5 + 127.5 * np.stack(channels, -1)).astype(np.uint8))


@pytest.mark.parametrize("crop", [1.0, 0.719, 0.607, 0.3])
def test_a_crop_by_share_is_the_same_at_half_the_size(crop: float) -> None:
    full, half = (decode(content(portrait(*size)), 32, crop) for size in ((178, 218), (89, 109)))
    assert np.abs(full.astype(int) - half).max() <= 3


def test_the_crop_is_the_central_share_of_the_width() -> None:
    image = Image.new("RGB", (20, 30), RED)
    image.paste(GREEN, (5, 10, 15, 20))
    inside: npt.NDArray[np.uint8] = decode(content(image), 8, 0.5)
    assert np.array_equal(inside, np.broadcast_to(np.array(GREEN)[:, None, None], (3, 8, 8)))
    assert corners(content(image)) == [RED] * 4


def test_a_wide_picture_gives_no_more_than_its_height() -> None:
    image = Image.new("RGB", (40, 10), RED)
    image.paste(GREEN, (15, 0, 25, 10))
    assert near(corners(content(image)), [GREEN] * 4)
    assert np.array_equal(decode(content(image), 8, 0.5), decode(content(image), 8, 1.0))


def test_crops_for_published_widths() -> None:
    """The central 128 of 250 pixels; a picture of another width whole."""
    image = Image.new("RGB", (250, 250), RED)
    image.paste(GREEN, (61, 61, 189, 189))
    assert np.array_equal(decode(content(image), 8, {250: 0.512}), decode(content(image), 8, 0.512))
    assert decode(content(image), 8, {250: 0.512})[:, 0, 0].tolist() == list(GREEN)
    assert decode(content(image.resize((128, 128))), 8, {250: 0.512})[:, 0, 0].tolist() == list(RED)


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(decode(content(Image.fromarray(stripes)), 8, 1.0).astype(int) - 127).max() <= 2


def test_a_large_jpeg_is_decoded_as_any_other() -> None:
    large = portrait(1600, 2000)
    as_jpeg, as_png = decode(content(large, "JPEG", quality=95), 16, 0.8), decode(content(large), 16, 0.8)
    assert np.abs(as_jpeg.astype(int) - as_png).max() <= 4


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(UserError, match=r"ended too soon, for want of memory .*: set data\.workers=1\.$"):
        list(in_parallel(os._exit, [3], workers=2))

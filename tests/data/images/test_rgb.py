import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from data.images.test_decode import content
from PIL import Image, ImageCms

from t2f.data.images.decode import decode

WHITE = (255, 255, 255)


def png(depth: int, color_type: int, row: bytes, transparent: bytes) -> bytes:
    """A PNG of 8 x 8 pixels, all rows the same, with a tRNS chunk, in depths that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, color_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * 8))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", transparent) + pixels + chunk(b"IEND", b"")


def halves(left: float, right: float, kind: Any) -> Image.Image:
    values: npt.NDArray[Any] = np.array([[left] * 4 + [right] * 4] * 8, kind)
    return Image.fromarray(values)


def left_and_right(picture: bytes) -> list[tuple[int, ...]]:
    pixels = decode(picture, 8, 1.0)
    return [tuple(pixels[:, 0, x].tolist()) for x in (0, -1)]


def greys(picture: bytes) -> list[int]:
    found = left_and_right(picture)
    assert all(len(set(color)) == 1 for color in found)
    return [color[0] for color in found]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (png(1, 0, bytes([0b00001111]), struct.pack(">H", 1)), [0, 255]),
        (png(2, 0, bytes([0b01010101, 0b10101010]), struct.pack(">H", 1)), [255, 170]),
        (png(4, 0, bytes([0x33, 0x33, 0xAA, 0xAA]), struct.pack(">H", 3)), [255, 170]),
        (png(8, 0, bytes([100] * 4 + [200] * 4), struct.pack(">H", 100)), [255, 200]),
        (png(16, 0, struct.pack(">8H", *[25700] * 4, *[51400] * 4), struct.pack(">H", 25700)), [255, 200]),
        (png(16, 0, struct.pack(">8H", *[25700] * 4, *[25701] * 4), struct.pack(">H", 25700)), [255, 100]),
    ],
    ids=["1 bit", "2 bits", "4 bits", "8 bits", "16 bits", "16 bits, by one apart"],
)
def test_the_transparent_grey_of_a_png_becomes_white(picture: bytes, expected: list[int]) -> None:
    assert greys(picture) == expected


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_color_of_a_png_becomes_white(depth: int) -> None:
    scale, kind = (1, "B") if depth == 8 else (256, "H")  # 16 bits: the high byte is what Pillow reads
    colors = [100 * scale + (scale > 1), 0, 0] * 4 + [200 * scale, 0, 0] * 4
    row, key = struct.pack(f">24{kind}", *colors), struct.pack(">3H", *colors[:3])
    assert left_and_right(png(depth, 2, row, key)) == [WHITE, (200, 0, 0)]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (0.0, 1.0, [0, 255]),
        (0.5, 0.25, [128, 64]),
        (0.0, 0.0, [0, 0]),
        (128.0, 255.0, [128, 255]),
        (0.0, 99.6, [0, 100]),
    ],
)
def test_floats_of_0_to_1_and_of_0_to_255(left: float, right: float, expected: list[int]) -> None:
    assert greys(content(halves(left, right, np.float32), "TIFF")) == expected


@pytest.mark.parametrize(
    ("kind", "left", "right", "expected"),
    [
        (np.int32, 100, 255, [100, 255]),
        (np.int32, 25700, 65535, [100, 255]),
        (np.int32, 0, 257, [0, 1]),
        (np.uint16, 25700, 65535, [100, 255]),
        (np.uint16, 100, 255, [0, 1]),
    ],
)
def test_integers_of_32_and_16_bits(kind: Any, left: int, right: int, expected: list[int]) -> None:
    assert greys(content(halves(left, right, kind), "TIFF")) == expected


def test_16_bits_of_other_kinds_of_files() -> None:
    dark = halves(25700, 100, np.uint16)
    assert greys(content(dark, "PPM")) == [100, 0]
    assert greys(content(halves(0, 100, np.uint16), "PPM")) == [0, 0]
    assert greys(content(dark)) == [100, 0]
    assert greys(b"P5 8 8 4095\n" + struct.pack(">8H", *[2048] * 4, *[4095] * 4) * 8) == [128, 255]


def tiff(bits: int, row: bytes, photometric: int) -> bytes:
    """A TIFF of 8 x 8 grey pixels, all rows the same, in forms that Pillow does not write."""
    tags = [(256, 8), (257, 8), (258, bits), (259, 1), (262, photometric), (277, 1), (278, 8), (279, 8 * len(row))]
    tags.insert(5, (273, 8 + 2 + 12 * 9 + 4))
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + row * 8


def test_12_bits_of_a_tiff() -> None:
    row = b"".join(
        bytes([value >> 4, (value & 15) << 4 | value >> 8, value & 255]) for value in (2048, 2048, 4095, 4095)
    )
    assert greys(tiff(12, row, photometric=1)) == [128, 255]


def test_white_may_be_zero_in_a_tiff() -> None:
    assert greys(tiff(8, bytes([100] * 4 + [200] * 4), photometric=0)) == [155, 55]
    assert greys(tiff(16, struct.pack("<8H", *[25700] * 4, *[51400] * 4), photometric=0)) == [155, 55]


@pytest.mark.parametrize(
    ("kind", "left", "right", "message"),
    [
        (np.float32, 0.5, 1.05, r"floats from 0\.5 to 1\.05 in place of 0\.\.\.1 or 0\.\.\.255: save it as 8-bit PNG"),
        (np.float32, -1, 1, r"floats from -1 to 1 in place of"),
        (np.float32, 0, np.nan, r"floats from nan to nan in place of"),
        (np.float32, 0, np.inf, r"floats from 0 to inf in place of"),
        (np.float32, 0, 60000, r"floats from 0 to 60000 in place of"),
        (np.int32, 0, 70000, r"integers from 0 to 70000 in place of 0\.\.\.255 or 0\.\.\.65535: save it as 8-bit PNG"),
        (np.int32, -1, 255, r"integers from -1 to 255 in place of"),
    ],
)
def test_numbers_whose_white_nobody_knows_are_refused(kind: Any, left: float, right: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(content(halves(left, right, kind), "TIFF"), 8, 1.0)


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (Image.new("LAB", (8, 8), (255, 128, 128)), "TIFF", WHITE),
        (Image.new("LA", (8, 8), (100, 51)), "TIFF", (224,) * 3),  # 100 / 5 + 255 * 4 / 5
        (Image.new("PA", (8, 8), (0, 0)), "TIFF", WHITE),
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("RGBA", (8, 8), (10, 200, 30, 51)), "WEBP", (206, 244, 210)),
    ],
    ids=["LAB", "LA", "PA", "CMYK", "RGBA"],
)
def test_other_modes(image: Image.Image, kind: str, expected: tuple[int, ...]) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.abs(np.subtract(left_and_right(content(image, kind, **options)), expected)).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_of_several_frames_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    found = left_and_right(content(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert np.abs(np.subtract(found, (255, 0, 0))).max() <= 1


# --- color profiles --------------------------------------------------------------------------------------------------


def swapped() -> bytes:
    """A color profile in which red is what sRGB calls green, and the other way round."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "RGBs".encode("utf-16-be"))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGB", (8, 8), (200, 10, 30)), (10, 200, 30)),
        (Image.new("RGB", (8, 8), (200, 10, 30)).convert("P", palette=Image.Palette.ADAPTIVE), (10, 200, 30)),
        (Image.new("RGBA", (8, 8), (200, 10, 30, 51)), (206, 244, 210)),
        (Image.new("L", (8, 8), 50), (50, 50, 50)),  # whose profile is of another mode
    ],
    ids=["RGB", "palette", "RGBA", "grey"],
)
def test_color_profiles_are_converted_to_srgb(image: Image.Image, expected: tuple[int, ...]) -> None:
    found = left_and_right(content(image, icc_profile=swapped()))
    assert np.abs(np.subtract(found, expected)).max() <= 1


def test_profiles_of_srgb_and_broken_ones_change_nothing() -> None:
    image = Image.new("RGB", (8, 8), (200, 10, 30))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"rubbish", swapped()[:200]):
        assert left_and_right(content(image, icc_profile=profile)) == [(200, 10, 30)] * 2


def test_a_profile_is_read_from_a_jpeg_too() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 10, 30)).save(buffer, "JPEG", icc_profile=swapped(), quality=95, subsampling=0)
    assert np.abs(np.subtract(left_and_right(buffer.getvalue()), (10, 200, 30))).max() <= 3

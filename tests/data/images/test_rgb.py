import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from data.images.test_decode import encoded
from PIL import Image, ImageCms

from t2f.data.images.decode import decode

WHITE = (255, 255, 255)


def png(depth: int, color_type: int, row: bytes, transparent: bytes) -> bytes:
    """A PNG of 8 x 8 pixels with equal rows and a tRNS chunk, in bit depths that Pillow does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, color_type, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * 8))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", transparent) + pixels + chunk(b"IEND", b"")


def halves(left: float, right: float, kind: Any) -> Image.Image:
    values: npt.NDArray[Any] = np.array([[left] * 4 + [right] * 4] * 8, kind)
    return Image.fromarray(values)


def left_and_right(file: bytes) -> list[tuple[int, ...]]:
    pixels = decode(file, 8, 1.0)
    return [tuple(pixels[:, 0, x].tolist()) for x in (0, -1)]


def gray_levels(file: bytes) -> list[int]:
    found = left_and_right(file)
    assert all(len(set(color)) == 1 for color in found)
    return [color[0] for color in found]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (png(1, 0, bytes([0b00001111]), struct.pack(">H", 1)), [0, 255]),
        (png(2, 0, bytes([0b01010101, 0b10101010]), struct.pack(">H", 1)), [255, 170]),
        (png(4, 0, bytes([0x33, 0x33, 0xAA, 0xAA]), struct.pack(">H", 3)), [255, 170]),
        (png(8, 0, bytes([100] * 4 + [200] * 4), struct.pack(">H", 100)), [255, 200]),
        (png(16, 0, struct.pack(">8H", *[25700] * 4, *[51400] * 4), struct.pack(">H", 25700)), [255, 200]),
        (png(16, 0, struct.pack(">8H", *[25700] * 4, *[25701] * 4), struct.pack(">H", 25700)), [255, 100]),
    ],
    ids=["1 bit", "2 bits", "4 bits", "8 bits", "16 bits", "16 bits, differing by 1"],
)
def test_the_transparent_gray_level_of_a_png_becomes_white(file: bytes, expected: list[int]) -> None:
    assert gray_levels(file) == expected


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_color_of_a_png_becomes_white(depth: int) -> None:
    scale, kind = (1, "B") if depth == 8 else (256, "H")  # of 16 bits Pillow reads the high byte
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
    assert gray_levels(encoded(halves(left, right, np.float32), "TIFF")) == expected


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
    assert gray_levels(encoded(halves(left, right, kind), "TIFF")) == expected


def test_16_bits_of_other_formats() -> None:
    dark = halves(25700, 100, np.uint16)
    assert gray_levels(encoded(dark, "PPM")) == [100, 0]
    assert gray_levels(encoded(halves(0, 100, np.uint16), "PPM")) == [0, 0]
    assert gray_levels(encoded(dark)) == [100, 0]
    assert gray_levels(b"P5 8 8 4095\n" + struct.pack(">8H", *[2048] * 4, *[4095] * 4) * 8) == [128, 255]


def tiff(bits: int, row: bytes, photometric: int) -> bytes:
    """A TIFF of 8 x 8 gray pixels with equal rows, in variants that Pillow does not write."""
    tags = [(256, 8), (257, 8), (258, bits), (259, 1), (262, photometric), (277, 1), (278, 8), (279, 8 * len(row))]
    tags.insert(5, (273, 8 + 2 + 12 * 9 + 4))
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + row * 8


def test_a_12_bit_tiff() -> None:
    row = b"".join(
        bytes([value >> 4, (value & 15) << 4 | value >> 8, value & 255]) for value in (2048, 2048, 4095, 4095)
    )
    assert gray_levels(tiff(12, row, photometric=1)) == [128, 255]


def test_a_tiff_in_which_white_is_zero() -> None:
    assert gray_levels(tiff(8, bytes([100] * 4 + [200] * 4), photometric=0)) == [155, 55]
    assert gray_levels(tiff(16, struct.pack("<8H", *[25700] * 4, *[51400] * 4), photometric=0)) == [155, 55]


@pytest.mark.parametrize(
    ("kind", "left", "right", "message"),
    [
        (
            np.float32,
            0.5,
            1.05,
            r"floats in \[0\.5, 1\.05\], but \[0, 1\] or \[0, 255\] is expected: save it as 8-bit PNG",
        ),
        (np.float32, -1, 1, r"floats in \[-1, 1\], but"),
        (np.float32, 0, np.nan, r"floats in \[nan, nan\], but"),
        (np.float32, 0, np.inf, r"floats in \[0, inf\], but"),
        (np.float32, 0, 60000, r"floats in \[0, 60000\], but"),
        (
            np.int32,
            0,
            70000,
            r"integers in \[0, 70000\], but \[0, 255\] or \[0, 65535\] is expected: save it as 8-bit PNG",
        ),
        (np.int32, -1, 255, r"integers in \[-1, 255\], but"),
    ],
)
def test_values_of_unknown_range_are_refused(kind: Any, left: float, right: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode(encoded(halves(left, right, kind), "TIFF"), 8, 1.0)


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
    assert np.abs(np.subtract(left_and_right(encoded(image, kind, **options)), expected)).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_of_several_frames_is_decoded(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    found = left_and_right(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert np.abs(np.subtract(found, (255, 0, 0))).max() <= 1


# --- color profiles --------------------------------------------------------------------------------------------------


def swapped_profile() -> bytes:
    """An sRGB profile with the red and green primaries swapped."""
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
        (Image.new("L", (8, 8), 50), (50, 50, 50)),  # the profile is for RGB
    ],
    ids=["RGB", "palette", "RGBA", "gray"],
)
def test_color_profiles_are_converted_to_srgb(image: Image.Image, expected: tuple[int, ...]) -> None:
    found = left_and_right(encoded(image, icc_profile=swapped_profile()))
    assert np.abs(np.subtract(found, expected)).max() <= 1


def test_srgb_profiles_and_damaged_profiles_have_no_effect() -> None:
    image = Image.new("RGB", (8, 8), (200, 10, 30))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"garbage", swapped_profile()[:200]):
        assert left_and_right(encoded(image, icc_profile=profile)) == [(200, 10, 30)] * 2


def test_the_profile_of_a_jpeg_is_applied() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 10, 30)).save(
        buffer, "JPEG", icc_profile=swapped_profile(), quality=95, subsampling=0
    )
    assert np.abs(np.subtract(left_and_right(buffer.getvalue()), (10, 200, 30))).max() <= 3

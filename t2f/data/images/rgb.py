"""Images of any Pillow mode to 8-bit sRGB on a white background."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from t2f.data.images.formats import RAW

SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC = 254, 258, 262  # TIFF tags
MIN_FLOAT_MAXIMUM = 16.0  # a float image in [0, 255] with a lower maximum would be black


def to_rgb(image: Image.Image, file: Image.Image) -> Image.Image:
    """Convert an image to sRGB in mode RGB, with transparency composited onto white.

    16-bit values are divided by 65535. Floats are in [0, 1] or [0, 255] and 32-bit integers in [0, 255] or [0, 65535],
    depending on the maximum of the image.

    Args:
        image: the decoded image, possibly rotated.
        file: the opened file that it was read from.

    Raises:
        ValueError: if floats or 32-bit integers are in no such range.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _on_white(*_gray(image, file))
    if not image.has_transparency_data:
        return _to_srgb(image)
    if image.mode == "La":  # premultiplied alpha; Pillow converts this mode to LA only
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    colors = rgba.convert("L" if image.mode in ("1", "L", "LA") else "RGB")  # drops alpha without compositing
    colors.info = {"icc_profile": image.info.get("icc_profile")}
    return _on_white(_to_srgb(colors), rgba.getchannel("A"))


def _on_white(colors: Image.Image, alpha: Image.Image | None) -> Image.Image:
    colors = colors.convert("RGB")
    if alpha is None:
        return colors
    colors.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", colors.size, "white"), colors).convert("RGB")


def _gray(image: Image.Image, file: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Convert one channel of 16-bit or 32-bit numbers to 8-bit gray and an alpha channel."""
    values = np.asarray(image)
    gray = np.round(values.astype(np.float64) * (255 / _white_level(file, values)))
    if _tag(file, PHOTOMETRIC) == 0:  # WhiteIsZero; Pillow handles it for 8 bits only
        gray = 255 - gray
    key = image.info.get("transparency")
    alpha = None if key is None else Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    return Image.fromarray(gray.astype(np.uint8)), alpha


def _white_level(file: Image.Image, values: npt.NDArray[np.generic]) -> float:
    if file.mode.startswith("I;16") or (file.mode == "I" and file.format in ("PNG", "PPM")):
        return 4095 if _tag(file, BITS_PER_SAMPLE) == 12 else 65535
    low, high = float(values.min()), float(values.max())
    scales = [(0.0, 1.0), (MIN_FLOAT_MAXIMUM, 255.0)] if file.mode == "F" else [(0.0, 255.0), (255.0, 65535.0)]
    for min_high, white in scales:
        if low >= 0 and min_high <= high <= white:  # false for NaN
            return white
    kind, ranges = ("floats", "[0, 1] or [0, 255]") if file.mode == "F" else ("integers", "[0, 255] or [0, 65535]")
    raise ValueError(f"it has {kind} in [{low:g}, {high:g}], but {ranges} is expected: save it as 8-bit PNG")


def _tag(file: Image.Image, number: int) -> int | None:
    """Return the first value of a TIFF tag."""
    value = getattr(file, "tag_v2", {}).get(number)
    return value[0] if isinstance(value, tuple) else value


def refuse_preview(file: Image.Image) -> None:
    """Reject RAW files in TIFF containers (DNG, NEF, ARW), whose first image is a small preview.

    Raises:
        ValueError: if the first image of the file is a preview.
    """
    if (_tag(file, SUBFILE_TYPE) or 0) & 1:
        raise ValueError(f"it is {RAW}")


def scale_transparency(file: Image.Image) -> None:
    """Scale the transparent color of a PNG to 8 bits, to which Pillow scales the pixels but not this color."""
    key = file.info.get("transparency")
    tiles = getattr(file, "tile", None)
    raw = tiles[0][3] if file.format == "PNG" and tiles else None
    if isinstance(key, int) and raw in ("L;2", "L;4"):
        file.info["transparency"] = key * {"L;2": 85, "L;4": 17}[raw]
    elif isinstance(key, tuple) and raw == "RGB;16B":
        file.info["transparency"] = tuple(value >> 8 for value in key)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Apply the color profile of an image, if there is a readable one."""
    profile = image.info.get("icc_profile")
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    transform = _srgb_transform(profile, image.mode) if profile else None
    return transform.apply(image) if transform else image.convert("RGB")


@lru_cache(maxsize=64)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform to sRGB, or None if the profile is sRGB, damaged or of another mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in (source.profile.profile_description or ""):
            return None
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(source, srgb, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ImportError, ValueError):
        return None

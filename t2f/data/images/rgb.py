"""Pictures of any mode of Pillow -> 8-bit sRGB on white."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from t2f.data.images.formats import RAW

SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC = 254, 258, 262  # tags of TIFF
LEAST_FLOAT = 16.0  # a picture of 0...255 whose brightest value is less would be black


def to_rgb(image: Image.Image, file: Image.Image) -> Image.Image:
    """A file's picture in mode RGB: its color profile converted to sRGB, and what is transparent laid on white.

    16-bit values are a share of 65535. Floats are 0...1 or 0...255, and 32-bit integers 0...255 or 0...65535,
    by the greatest of the picture.

    Raises `ValueError` for numbers of any other range, whose white nobody knows.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _on_white(*_grey(image, file))
    if not image.has_transparency_data:
        return _to_srgb(image)
    if image.mode == "La":  # premultiplied, which Pillow converts to LA alone
        image = image.convert("LA")
    whole = image.convert("RGBA")
    colors = whole.convert("L" if image.mode in ("1", "L", "LA") else "RGB")  # alpha is cut off, not laid on black
    colors.info = {"icc_profile": image.info.get("icc_profile")}
    return _on_white(_to_srgb(colors), whole.getchannel("A"))


def _on_white(colors: Image.Image, alpha: Image.Image | None) -> Image.Image:
    colors = colors.convert("RGB")
    if alpha is None:
        return colors
    colors.putalpha(alpha)
    return Image.alpha_composite(Image.new("RGBA", colors.size, "white"), colors).convert("RGB")


def _grey(image: Image.Image, file: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """A picture of one channel of 16-bit or 32-bit numbers as 8-bit grey, and its transparency."""
    values = np.asarray(image)
    white = _white(file, values)
    grey = np.round(values.astype(np.float64) * (255 / white))
    if _tag(file, PHOTOMETRIC) == 0:  # white is zero, which Pillow minds at 8 bits alone
        grey = 255 - grey
    key = image.info.get("transparency")
    alpha = None if key is None else Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8))
    return Image.fromarray(grey.astype(np.uint8)), alpha


def _white(file: Image.Image, values: npt.NDArray[np.generic]) -> float:
    """The number that stands for white."""
    if file.mode.startswith("I;16") or (file.mode == "I" and file.format in ("PNG", "PPM")):
        return 4095 if _tag(file, BITS_PER_SAMPLE) == 12 else 65535
    low, high = float(values.min()), float(values.max())
    scales = [(0.0, 1.0), (LEAST_FLOAT, 255.0)] if file.mode == "F" else [(0.0, 255.0), (255.0, 65535.0)]
    for least, white in scales:
        if low >= 0 and least <= high <= white:  # false for NaN, too
            return white
    kind, wanted = ("floats", "0...1 or 0...255") if file.mode == "F" else ("integers", "0...255 or 0...65535")
    raise ValueError(f"it holds {kind} from {low:g} to {high:g} in place of {wanted}: save it as 8-bit PNG")


def _tag(file: Image.Image, number: int) -> int | None:
    """The first value of a TIFF's tag."""
    value = getattr(file, "tag_v2", {}).get(number)
    return value[0] if isinstance(value, tuple) else value


def refuse_preview(file: Image.Image) -> None:
    """Raise `ValueError` for a RAW file that is a TIFF (DNG, NEF, ARW), whose first picture is a small preview."""
    if (_tag(file, SUBFILE_TYPE) or 0) & 1:
        raise ValueError(f"it is {RAW}")


def scale_transparency(file: Image.Image) -> None:
    """Give the transparent color of a PNG that was just opened in 8 bits, as its pixels will be."""
    key = file.info.get("transparency")
    tiles = getattr(file, "tile", None)
    raw = tiles[0][3] if file.format == "PNG" and tiles else None
    if isinstance(key, int) and raw in ("L;2", "L;4"):
        file.info["transparency"] = key * {"L;2": 85, "L;4": 17}[raw]
    elif isinstance(key, tuple) and raw == "RGB;16B":
        file.info["transparency"] = tuple(value >> 8 for value in key)


def _to_srgb(image: Image.Image) -> Image.Image:
    """The picture in sRGB, by its color profile where it has one that can be read."""
    profile = image.info.get("icc_profile")
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    transform = _transform(profile, image.mode) if profile else None
    return transform.apply(image) if transform else image.convert("RGB")


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where there is nothing to convert, or the profile is not one of this mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in (source.profile.profile_description or ""):
            return None
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(source, srgb, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ImportError, ValueError):
        return None

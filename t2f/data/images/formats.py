"""File formats, identified by magic numbers, and the plugins with which Pillow reads further formats."""

from __future__ import annotations

import importlib
import re
from codecs import BOM_UTF8
from functools import lru_cache
from importlib.util import find_spec
from os import PathLike

from PIL import features

IMAGE_EXTENSIONS: tuple[str, ...] = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".tga"),
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".ppm", ".pgm"),
)
HEADER_BYTES = 1024  # enough to identify a file

# Format -> (module, package) of the Pillow plugin
PLUGINS = {
    "HEIC": ("pillow_heif", "pillow-heif"),
    "AVIF": ("pillow_avif", "pillow-avif-plugin"),
    "JPEG XL": ("pillow_jxl", "pillow-jxl-plugin"),
}
RAW = "a camera's RAW file: develop it to JPEG or PNG"
VIDEO = "a video"
# (pattern of the first bytes, description) of files that are not images that Pillow reads
UNSUPPORTED = [
    (rb"version https://git-lfs", "a Git LFS pointer instead of the file: run git lfs pull"),
    (rb"(?s).{0,100}/annex/objects/", "a git-annex pointer instead of the file: run git annex get"),
    (rb"(?is)\s*(<\?xml.{0,500})?(<!--.{0,500}-->\s*)?(<!doctype svg|<svg)", "an SVG drawing: save it as PNG"),
    (
        rb"(?is)\s*(<!--.{0,500}-->\s*)?(<!doctype html|<html|<head|<body)",
        "an HTML page, e.g. from a failed download",
    ),
    (rb"(?s)\s*<\?xml", "an XML text, e.g. from a failed download"),
    (rb'\s*\{\s*"', "a JSON text, e.g. from a failed download"),
    (rb"%PDF", "a PDF: save its images as PNG"),
    (rb"PK\x03\x04|PK\x05\x06", "a ZIP archive or an Office document"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"Rar!", "a RAR archive"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (rb"\xd0\xcf\x11\xe0", "an old Office document"),
    (rb"PAR1", "a Parquet table: read it with data=hub"),
    (rb"\x93NUMPY", "a NumPy array: save it as PNG"),
    (rb"\x00\x05\x16\x07", "a macOS metadata file (AppleDouble): remove it"),
    (rb"\x1a\x45\xdf\xa3|FLV\x01|OggS|\x00\x00\x01[\xb3\xba]", VIDEO),
    (rb"(?s)RIFF....AVI ", VIDEO),
    (rb"FUJIFILM|IIU\x00|IIRO|IIRS|MMOR|(?s:II\*\x00....CR)", RAW),
    (rb"(?s).{4}ftypcrx", RAW),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "an EPS drawing: save it as PNG"),
    (rb"gimp xcf ", "a GIMP image: export it as PNG"),
    (rb"(?s)\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", "a Windows Metafile: save it as PNG"),
    (rb"\x89HDF", "an HDF5 file: save its images as PNG"),
    (rb"DDS ", "a DDS texture: save it as PNG"),
    (rb"SIMPLE  =", "a FITS image: save it as PNG"),
    (rb"\x76\x2f\x31\x01", "an OpenEXR image: save it as PNG"),
    (rb"#\?RADIANCE|#\?RGBE", "a Radiance HDR image: save it as PNG"),
    (rb"II\xbc", "a JPEG XR image: save it as PNG"),
    (rb"(?s).{128}DICM", "a DICOM image: save it as PNG"),
    (rb"\x00+\Z", "a file of zeros, e.g. from an interrupted download"),
]
# (pattern of the first bytes, format) of images that Pillow reads unless they are damaged
SUPPORTED = [
    (rb"\xff\xd8", "JPEG"),
    (rb"\x89PNG", "PNG"),
    (rb"GIF8", "GIF"),
    (rb"(?s)RIFF....WEBP", "WebP"),
    (rb"II[*+]\x00|MM\x00[*+]", "TIFF"),
    (rb"BM", "BMP"),
    (rb"8BPS", "Photoshop file"),
]


@lru_cache(maxsize=1)
def register_plugins() -> None:
    """Register the installed Pillow plugins. Each process that decodes images must call it."""
    for module, _ in PLUGINS.values():
        try:
            plugin = importlib.import_module(module)  # the import registers the format, except for pillow_heif
        except ImportError:
            continue
        if hasattr(plugin, "register_heif_opener"):
            plugin.register_heif_opener()


def read_header(path: str | PathLike[str]) -> bytes:
    """Return the first `HEADER_BYTES` bytes of a file."""
    with open(path, "rb") as file:
        return file.read(HEADER_BYTES)


def identify_unsupported(header: bytes) -> str | None:
    """Describe a file that Pillow cannot read as an image.

    Args:
        header: the first bytes of the file.

    Returns:
        A noun phrase, such as "a video", or None for a file of another kind.
    """
    brand = _brand(header)
    if brand in PLUGINS:
        module, package = PLUGINS[brand]
        if find_spec(module) or (brand == "AVIF" and features.check("avif")):
            return None
        return f"{'an' if brand == 'AVIF' else 'a'} {brand} image, which Pillow reads after pip install {package}"
    if brand == "video":
        return VIDEO
    header = header.removeprefix(BOM_UTF8)
    return next((description for pattern, description in UNSUPPORTED if re.match(pattern, header)), None)


def explain_unidentified(header: bytes) -> str:
    """Explain in one clause why Pillow cannot identify a file with these first bytes."""
    if not header:
        return "it is empty"
    if description := identify_unsupported(header):
        return f"it is {description}"
    kind = _brand(header) or next((name for pattern, name in SUPPORTED if re.match(pattern, header)), None)
    return f"it is a damaged {kind}, or a variant that Pillow cannot read" if kind else "it is not an image"


def _brand(header: bytes) -> str | None:
    """Return HEIC, AVIF, JPEG XL or video, by the brands of the ISO base media file format."""
    if header.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")):
        return "JPEG XL"
    if header[4:8] != b"ftyp" or header[8:11] == b"crx":
        return None
    end = min(int.from_bytes(header[:4], "big"), HEADER_BYTES)
    brands = {header[8:12], *(header[start : start + 4] for start in range(16, end, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    heif = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"}
    return "HEIC" if brands & heif else "video"

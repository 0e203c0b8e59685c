"""Formats that Pillow cannot read alone: what a file is, by its first bytes, and the packages that read it."""

from __future__ import annotations

import importlib
import re
from codecs import BOM_UTF8
from functools import lru_cache
from importlib.util import find_spec
from os import PathLike

from PIL import features

PICTURE_ENDINGS: tuple[str, ...] = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".tga"),
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".ppm", ".pgm"),
)
HEAD = 1024  # bytes of a file that are enough to name it

# What brings a format to Pillow: (module, package)
PLUGINS = {
    "HEIC": ("pillow_heif", "pillow-heif"),
    "AVIF": ("pillow_avif", "pillow-avif-plugin"),
    "JPEG XL": ("pillow_jxl", "pillow-jxl-plugin"),
}
RAW = "a camera's RAW file: develop it to JPEG or PNG"
VIDEO = "a video"
FOREIGN = [
    (rb"version https://git-lfs", "a Git LFS pointer in place of the file: git lfs pull fetches it"),
    (rb"(?s).{0,100}/annex/objects/", "a git-annex pointer in place of the file: git annex get fetches it"),
    (rb"(?is)\s*(<\?xml.{0,500})?(<!--.{0,500}-->\s*)?(<!doctype svg|<svg)", "an SVG drawing: save it as PNG"),
    (rb"(?is)\s*(<!--.{0,500}-->\s*)?(<!doctype html|<html|<head|<body)", "an HTML page, as of a failed download"),
    (rb"(?s)\s*<\?xml", "an XML text, as of a failed download"),
    (rb'\s*\{\s*"', "a JSON text, as of a failed download"),
    (rb"%PDF", "a PDF: save its pictures as PNG"),
    (rb"PK\x03\x04|PK\x05\x06", "a ZIP archive or an Office document"),
    (rb"\x1f\x8b", "a gzip archive"),
    (rb"Rar!", "a RAR archive"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (rb"\xd0\xcf\x11\xe0", "an old Office document"),
    (rb"PAR1", "a Parquet table, which data=hub can read"),
    (rb"\x93NUMPY", "a NumPy array: save it as PNG"),
    (rb"\x00\x05\x16\x07", "macOS's companion of a file (AppleDouble), which can be removed"),
    (rb"\x1a\x45\xdf\xa3|FLV\x01|OggS|\x00\x00\x01[\xb3\xba]", VIDEO),
    (rb"(?s)RIFF....AVI ", VIDEO),
    (rb"FUJIFILM|IIU\x00|IIRO|IIRS|MMOR|(?s:II\*\x00....CR)", RAW),
    (rb"(?s).{4}ftypcrx", RAW),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "an EPS drawing: save it as PNG"),
    (rb"gimp xcf ", "a GIMP drawing: export it as PNG"),
    (rb"(?s)\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", "a Windows Metafile: save it as PNG"),
    (rb"\x89HDF", "an HDF5 file: save its pictures as PNG"),
    (rb"DDS ", "a DDS texture: save it as PNG"),
    (rb"SIMPLE  =", "a FITS picture: save it as PNG"),
    (rb"\x76\x2f\x31\x01", "an OpenEXR picture: save it as PNG"),
    (rb"#\?RADIANCE|#\?RGBE", "a Radiance HDR picture: save it as PNG"),
    (rb"II\xbc", "a JPEG XR picture: save it as PNG"),
    (rb"(?s).{128}DICM", "a DICOM picture: save it as PNG"),
    (rb"\x00+\Z", "a file of zeros, as of a download that was cut off"),
]
DAMAGED = [
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
    """Let Pillow read the formats whose packages are installed; to be called in each process that decodes."""
    for module, _ in PLUGINS.values():
        try:
            plugin = importlib.import_module(module)  # registers its format, but for pillow_heif
        except ImportError:
            continue
        if hasattr(plugin, "register_heif_opener"):
            plugin.register_heif_opener()


def read_head(path: str | PathLike[str]) -> bytes:
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(HEAD)


def foreign(head: bytes) -> str | None:
    """What a file is that is no picture for Pillow alone, as "a video"; None for any other."""
    for name, (module, package) in PLUGINS.items():
        if _brand(head) == name:
            if find_spec(module) or (name == "AVIF" and features.check("avif")):
                return None
            return f"{'an' if name == 'AVIF' else 'a'} {name} picture, which Pillow reads after pip install {package}"
    if _brand(head) == "video":
        return VIDEO
    head = head.removeprefix(BOM_UTF8)
    return next((what for pattern, what in FOREIGN if re.match(pattern, head)), None)


def unidentified(head: bytes) -> str:
    """Why Pillow does not know a file, as a clause."""
    if not head:
        return "it is empty"
    kind = _brand(head) or next((name for pattern, name in DAMAGED if re.match(pattern, head)), None)
    if what := foreign(head):
        return f"it is {what}"
    return f"it is a damaged {kind}, or one of a kind that Pillow cannot read" if kind else "it is not an image"


def _brand(head: bytes) -> str | None:
    """HEIC, AVIF, JPEG XL, or video, by the brands of the ISO base media format."""
    if head.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")):
        return "JPEG XL"
    if head[4:8] != b"ftyp" or head[8:11] == b"crx":
        return None
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), HEAD), 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    heif = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"}
    return "HEIC" if brands & heif else "video"

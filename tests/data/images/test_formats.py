import warnings
from pathlib import Path

import pytest
from data.datasets.test_photographs import FolderDataset
from data.images.test_decode import encoded
from PIL import Image

from t2f.data.images import formats
from t2f.data.images.decode import decode
from t2f.utils.errors import UserError

HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + b"\0" * 30
AVIF = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + b"\0" * 30
JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(3):
        Image.new("L", (8, 8), i).save(folder / f"{i}.png")
    return folder


def error_of(folder: Path, file: bytes) -> str:
    """The reason in the error message for a file that cannot be decoded."""
    (folder / "1.jpg").write_bytes(file)
    with pytest.raises(
        UserError, match=r"/1\.jpg cannot be decoded \(.*\): repair or remove it, or skip such"
    ) as error:
        FolderDataset(folder, folder.parent / "cache").prepare()
    return str(error.value).partition("(")[2].rpartition("): repair")[0]


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "it is a video"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0qt  ", "it is a video"),
        (b"\x1a\x45\xdf\xa3webm", "it is a video"),
        (b"RIFF\1\2\3\4AVI LIST", "it is a video"),
        (b"\0\0\1\xb3" + b"\1" * 30, "it is a video"),  # identified by Pillow, but not readable
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "it is a camera's RAW file: develop it to JPEG or PNG"),
        (b"FUJIFILMCCD-RAW", "it is a camera's RAW file: develop it to JPEG or PNG"),
        (b"<svg xmlns=''>", "it is an SVG drawing: save it as PNG"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<svg>", "it is an SVG drawing: save it as PNG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg>", "it is an SVG drawing: save it as PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is an EPS drawing: save it as PNG"),
        (b"gimp xcf v011\0", "it is a GIMP image: export it as PNG"),
        (b"\xd7\xcd\xc6\x9a" + b"\0" * 60, "it is a Windows Metafile: save it as PNG"),
        (b"\1\0\0\0" + b"\0" * 36 + b" EMF" + b"\0" * 60, "it is a Windows Metafile: save it as PNG"),
        (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file: save its images as PNG"),
        (b"8BPS\0\1" + b"\0" * 30, "it is a damaged Photoshop file, or a variant that Pillow cannot read"),
        (b"\n<!DOCTYPE html><html>", "it is an HTML page, e.g. from a failed download"),
        (b"<?xml version='1.0'?><Error>AccessDenied", "it is an XML text, e.g. from a failed download"),
        (b'{"error": 404}', "it is a JSON text, e.g. from a failed download"),
        (b"%PDF-1.7", "it is a PDF: save its images as PNG"),
        (b"PK\3\4", "it is a ZIP archive or an Office document"),
        (b"\x1f\x8b\x08", "it is a gzip archive"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:",
            "it is a Git LFS pointer instead of the file: .*",
        ),
        (b"../.git/annex/objects/ab/cd", "it is a git-annex pointer instead of the file: run git annex get"),
        (b"\x93NUMPY\1\0", "it is a NumPy array: save it as PNG"),
        (b"\0\5\x16\7\0\2\0\0", "it is a macOS metadata file .*"),
        (b"\0" * 128 + b"DICM", "it is a DICOM image: save it as PNG"),
        (b"\0" * 5000, "it is a file of zeros, e.g. from an interrupted download"),
        (b"", "it is empty"),
        (b"hello", "it is not an image"),
        (b"\x89PNG\r\n\x1a\n", "it is a damaged PNG, or a variant that Pillow cannot read"),
        (b"II*\0\x08\0\0\0" + b"\0" * 20, "it is a damaged TIFF, or a variant that Pillow cannot read"),
    ],
)
def test_files_that_are_not_images_are_identified(folder: Path, file: bytes, reason: str) -> None:
    found = error_of(folder, file)
    assert found == reason or (reason.endswith(".*") and found.startswith(reason[:-2]))


@pytest.mark.parametrize(
    ("file", "package"), [(HEIC, "pillow-heif"), (AVIF, "pillow-avif-plugin"), (JXL, "pillow-jxl-plugin")]
)
def test_the_plugin_of_a_format_is_suggested(
    folder: Path, monkeypatch: pytest.MonkeyPatch, file: bytes, package: str
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    monkeypatch.setattr("PIL.features.check", lambda name: False)
    assert error_of(folder, file).endswith(f" image, which Pillow reads after pip install {package}")


def test_a_file_of_a_supported_format_is_reported_as_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: name)
    assert error_of(folder, HEIC) == "it is a damaged HEIC, or a variant that Pillow cannot read"


def test_heic_is_decoded_if_its_plugin_is_installed(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    image = Image.new("RGB", (64, 64), (200, 50, 30))
    heif.from_pillow(image).save(tmp_path / "a.heic", quality=-1)
    assert abs(decode(str(tmp_path / "a.heic"), 4, 1.0)[:, 0, 0].astype(int) - (200, 50, 30)).max() <= 3


def test_the_preview_of_a_raw_file_is_refused(folder: Path) -> None:
    """DNG, NEF and ARW are TIFFs whose first image is marked as a preview."""
    raw = encoded(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={254: 1})
    assert error_of(folder, raw) == "it is a camera's RAW file: develop it to JPEG or PNG"
    assert decode(encoded(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={254: 0}), 8, 1.0).max() == 0


def test_a_gigantic_image_is_refused_and_a_large_one_is_read_without_warning(folder: Path) -> None:
    assert error_of(folder, encoded(Image.new("1", (14000, 14000)))) == (
        "it has more than 178,956,970 pixels, the limit of Pillow"
    )
    with warnings.catch_warnings(record=True) as caught:
        assert decode(encoded(Image.new("1", (9700, 9700), 1)), 64, 1.0).min() >= 254
    assert caught == []

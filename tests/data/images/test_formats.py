import warnings
from pathlib import Path

import pytest
from data.datasets.test_photographs import Source
from data.images.test_decode import content
from PIL import Image

from t2f.data.images import formats
from t2f.data.images.decode import decode
from t2f.utils.errors import UserError

HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + b"\0" * 30
AVIF = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + b"\0" * 30
JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0" * 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        Image.new("L", (8, 8), i).save(folder / f"{i}.png")
    return folder


def told(folder: Path, picture: bytes) -> str:
    """Why a picture cannot be decoded, in the error that a user sees."""
    (folder / "1.jpg").write_bytes(picture)
    with pytest.raises(UserError, match=r"/1\.jpg cannot be decoded \(.*\): mend or remove it, or leave such") as error:
        Source(folder, folder.parent / "cache").prepare()
    return str(error.value).partition("(")[2].rpartition("): mend")[0]


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", "it is a video"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0qt  ", "it is a video"),
        (b"\x1a\x45\xdf\xa3webm", "it is a video"),
        (b"RIFF\1\2\3\4AVI LIST", "it is a video"),
        (b"\0\0\1\xb3" + b"\1" * 30, "it is a video"),  # which Pillow knows, but cannot read
        (b"\0\0\0\x18ftypcrx \0\0\0\0", "it is a camera's RAW file: develop it to JPEG or PNG"),
        (b"FUJIFILMCCD-RAW", "it is a camera's RAW file: develop it to JPEG or PNG"),
        (b"<svg xmlns=''>", "it is an SVG drawing: save it as PNG"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<svg>", "it is an SVG drawing: save it as PNG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><svg>", "it is an SVG drawing: save it as PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is an EPS drawing: save it as PNG"),
        (b"gimp xcf v011\0", "it is a GIMP drawing: export it as PNG"),
        (b"\xd7\xcd\xc6\x9a" + b"\0" * 60, "it is a Windows Metafile: save it as PNG"),
        (b"\1\0\0\0" + b"\0" * 36 + b" EMF" + b"\0" * 60, "it is a Windows Metafile: save it as PNG"),
        (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file: save its pictures as PNG"),
        (b"8BPS\0\1" + b"\0" * 30, "it is a damaged Photoshop file, or one of a kind that Pillow cannot read"),
        (b"\n<!DOCTYPE html><html>", "it is an HTML page, as of a failed download"),
        (b"<?xml version='1.0'?><Error>AccessDenied", "it is an XML text, as of a failed download"),
        (b'{"error": 404}', "it is a JSON text, as of a failed download"),
        (b"%PDF-1.7", "it is a PDF: save its pictures as PNG"),
        (b"PK\3\4", "it is a ZIP archive or an Office document"),
        (b"\x1f\x8b\x08", "it is a gzip archive"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:",
            "it is a Git LFS pointer in place of the file: .*",
        ),
        (b"../.git/annex/objects/ab/cd", "it is a git-annex pointer in place of the file: git annex get fetches it"),
        (b"\x93NUMPY\1\0", "it is a NumPy array: save it as PNG"),
        (b"\0\5\x16\7\0\2\0\0", "it is macOS's companion of a file .*"),
        (b"\0" * 128 + b"DICM", "it is a DICOM picture: save it as PNG"),
        (b"\0" * 5000, "it is a file of zeros, as of a download that was cut off"),
        (b"", "it is empty"),
        (b"hello", "it is not an image"),
        (b"\x89PNG\r\n\x1a\n", "it is a damaged PNG, or one of a kind that Pillow cannot read"),
        (b"II*\0\x08\0\0\0" + b"\0" * 20, "it is a damaged TIFF, or one of a kind that Pillow cannot read"),
    ],
)
def test_what_a_file_is_in_place_of_a_picture(folder: Path, picture: bytes, reason: str) -> None:
    found = told(folder, picture)
    assert found == reason or (reason.endswith(".*") and found.startswith(reason[:-2]))


@pytest.mark.parametrize(
    ("picture", "package"), [(HEIC, "pillow-heif"), (AVIF, "pillow-avif-plugin"), (JXL, "pillow-jxl-plugin")]
)
def test_the_package_that_brings_a_format_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, picture: bytes, package: str
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    monkeypatch.setattr("PIL.features.check", lambda name: False)
    assert told(folder, picture).endswith(f" picture, which Pillow reads after pip install {package}")


def test_a_format_that_can_be_read_is_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: name)
    assert told(folder, HEIC) == "it is a damaged HEIC, or one of a kind that Pillow cannot read"


def test_heic_is_read_where_its_package_is_installed(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="what reads HEIC is not installed")
    image = Image.new("RGB", (64, 64), (200, 50, 30))
    heif.from_pillow(image).save(tmp_path / "a.heic", quality=-1)
    assert abs(decode(str(tmp_path / "a.heic"), 4, 1.0)[:, 0, 0].astype(int) - (200, 50, 30)).max() <= 3


def test_the_preview_in_a_raw_file_is_not_taken_for_the_picture(folder: Path) -> None:
    """DNG, NEF and ARW are TIFFs that begin with a small preview, and say so."""
    raw = content(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={254: 1})
    assert told(folder, raw) == "it is a camera's RAW file: develop it to JPEG or PNG"
    assert decode(content(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={254: 0}), 8, 1.0).max() == 0


def test_a_gigantic_picture_is_refused_and_a_large_one_read_in_silence(folder: Path) -> None:
    assert told(folder, content(Image.new("1", (14000, 14000)))) == (
        "it has more than 178,956,970 pixels, the most that Pillow reads"
    )
    with warnings.catch_warnings(record=True) as said:
        assert decode(content(Image.new("1", (9700, 9700), 1)), 64, 1.0).min() >= 254
    assert said == []

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from t2f.data.faces import fingerprint, open_cache, write_labels, writing_cache
from t2f.utils.errors import UserError

SHAPE = (3, 3, 4, 4)
PIXELS = np.arange(3 * 3 * 4 * 4, dtype=np.uint8).reshape(SHAPE)
CAPTIONS = [["a man", "un señor"], ["微笑的女人"], ["a woman"]]
ATTRIBUTES = np.array([[1, -1], [0, 1], [0, 0]], dtype=np.int8)


def write(folder: Path, pixels: Any = PIXELS) -> None:
    with writing_cache(folder, SHAPE) as (side, images):
        images[:] = pixels
        write_labels(side, CAPTIONS, ATTRIBUTES, ("Male", "Smiling"), {"seed": 0})


def test_a_cache_gives_back_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "cache")
    faces = open_cache(tmp_path / "deep" / "cache")
    assert np.array_equal(faces.images, PIXELS)
    assert faces.images.dtype == np.uint8
    assert faces.captions == CAPTIONS
    assert np.array_equal(faces.attributes, ATTRIBUTES)
    assert faces.attributes.dtype == np.int8
    assert faces.attribute_names == ["Male", "Smiling"]
    assert len(faces) == 3


def test_a_cache_tells_its_settings(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    assert json.loads((tmp_path / "cache" / "about.json").read_text())["settings"] == {"seed": 0}


def test_images_are_mapped_read_only_also_in_a_slice(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    for faces in (open_cache(tmp_path / "cache"), open_cache(tmp_path / "cache")[1:]):
        assert isinstance(faces.images, np.memmap)
        assert not faces.images.flags.writeable


def test_a_slice_keeps_pictures_words_and_attributes_together(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    faces = open_cache(tmp_path / "cache")[1:]
    assert len(faces) == 2
    assert np.array_equal(faces.images, PIXELS[1:])
    assert faces.captions == CAPTIONS[1:]
    assert np.array_equal(faces.attributes, ATTRIBUTES[1:])


def test_an_unfinished_cache_is_not_visible(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with writing_cache(folder, SHAPE) as (side, images):
        images[:] = PIXELS
        assert not folder.exists()
        write_labels(side, CAPTIONS, ATTRIBUTES, ("Male", "Smiling"), {})
        assert not folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("error", [RuntimeError("cut off"), KeyboardInterrupt()])
def test_a_cut_off_cache_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), writing_cache(tmp_path / "cache", SHAPE):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_and_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="disk is full"), writing_cache(tmp_path / "cache", SHAPE):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_of_two_processes_the_first_to_finish_stays(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with writing_cache(folder, SHAPE) as (side, images):
        images[:] = 7
        write_labels(side, [["late"]] * 3, ATTRIBUTES, ("Male", "Smiling"), {})
        write(folder)  # another process is quicker
    faces = open_cache(folder)
    assert np.array_equal(faces.images, PIXELS)
    assert faces.captions == CAPTIONS
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_others_may_read_the_cache(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["images.npy", "captions.json", "attributes.npy", "about.json"])
def test_a_missing_file_is_told(tmp_path: Path, name: str) -> None:
    write(tmp_path / "cache")
    (tmp_path / "cache" / name).unlink()
    with pytest.raises(UserError, match=r"cache is damaged .*delete that folder"):
        open_cache(tmp_path / "cache")


@pytest.mark.parametrize("name", ["images.npy", "captions.json", "attributes.npy", "about.json"])
@pytest.mark.parametrize("share", [0.98, 0.5])
def test_a_file_cut_short_is_told(tmp_path: Path, name: str, share: float) -> None:
    write(tmp_path / "cache")
    path = tmp_path / "cache" / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"cache is damaged .*delete that folder"):
        open_cache(tmp_path / "cache")


@pytest.mark.parametrize("name", ["captions.json", "about.json", "images.npy", "attributes.npy"])
def test_an_empty_file_is_told(tmp_path: Path, name: str) -> None:
    write(tmp_path / "cache")
    (tmp_path / "cache" / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"cache is damaged .*delete that folder"):
        open_cache(tmp_path / "cache")


@pytest.mark.parametrize("name", ["images.npy", "captions.json", "attributes.npy", "about.json"])
def test_a_file_of_rubbish_is_told(tmp_path: Path, name: str) -> None:
    write(tmp_path / "cache")
    (tmp_path / "cache" / name).write_bytes(b"\xff\xfe rubbish" * 40)
    with pytest.raises(UserError, match=r"cache is damaged .*delete that folder"):
        open_cache(tmp_path / "cache")


def test_fingerprint_follows_values_and_not_their_order() -> None:
    one = fingerprint({"seed": 0, "resolution": 32})
    assert fingerprint({"resolution": 32, "seed": 0}) == one
    assert len({one, fingerprint({"seed": 1, "resolution": 32}), fingerprint({"seed": 0})}) == 3
    assert len(one) == 12
    assert int(one, 16) >= 0

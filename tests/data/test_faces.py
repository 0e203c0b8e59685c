import errno
import json
from pathlib import Path

import numpy as np
import pytest

from t2f.data.faces import atomic_folder, fingerprint, open_cache, write_images, write_labels
from t2f.utils.errors import UserError

PIXELS = np.arange(3 * 3 * 4 * 4, dtype=np.uint8).reshape(3, 3, 4, 4)
CAPTIONS = [["a man", "un señor"], ["微笑的女人"], ["a woman"]]
ATTRIBUTES = np.array([[1, -1], [0, 1], [0, 0]], dtype=np.int8)


def write(folder: Path) -> None:
    with atomic_folder(folder) as temporary:
        write_images(temporary / "images.npy", 4, [PIXELS[:2], PIXELS[2:]])
        write_labels(temporary, CAPTIONS, ATTRIBUTES, ("Male", "Smiling"), {"seed": 0})


def test_open_cache_returns_what_was_written(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "cache")
    faces = open_cache(tmp_path / "deep" / "cache")
    assert np.array_equal(faces.images, PIXELS)
    assert faces.images.dtype == np.uint8
    assert faces.captions == CAPTIONS
    assert np.array_equal(faces.attributes, ATTRIBUTES)
    assert faces.attributes.dtype == np.int8
    assert faces.attribute_names == ["Male", "Smiling"]
    assert len(faces) == 3


def test_about_json_records_the_settings(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    assert json.loads((tmp_path / "cache" / "about.json").read_text())["settings"] == {"seed": 0}


def test_images_and_their_slices_are_memory_mapped_read_only(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    for faces in (open_cache(tmp_path / "cache"), open_cache(tmp_path / "cache")[1:]):
        assert isinstance(faces.images, np.memmap)
        assert not faces.images.flags.writeable


def test_a_slice_selects_images_captions_and_attributes(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    faces = open_cache(tmp_path / "cache")[1:]
    assert len(faces) == 2
    assert np.array_equal(faces.images, PIXELS[1:])
    assert faces.captions == CAPTIONS[1:]
    assert np.array_equal(faces.attributes, ATTRIBUTES[1:])


def test_an_incomplete_cache_is_not_visible(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with atomic_folder(folder) as temporary:
        write_images(temporary / "images.npy", 4, [PIXELS])
        assert not folder.exists()
        write_labels(temporary, CAPTIONS, ATTRIBUTES, ("Male", "Smiling"), {})
        assert not folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("error", [RuntimeError("failed"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_no_files(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), atomic_folder(tmp_path / "cache"):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_raises_and_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="disk is full"), atomic_folder(tmp_path / "cache"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_processes_to_finish_creates_the_cache(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with atomic_folder(folder) as temporary:
        write_images(temporary / "images.npy", 4, [PIXELS + 1])
        write_labels(temporary, [["late"]] * 3, ATTRIBUTES, ("Male", "Smiling"), {})
        write(folder)  # another process finishes first
    faces = open_cache(folder)
    assert np.array_equal(faces.images, PIXELS)
    assert faces.captions == CAPTIONS
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_other_users_may_read_the_cache(tmp_path: Path) -> None:
    write(tmp_path / "cache")
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["images.npy", "captions.json", "attributes.npy", "about.json"])
def test_a_missing_file_raises(tmp_path: Path, name: str) -> None:
    write(tmp_path / "cache")
    (tmp_path / "cache" / name).unlink()
    with pytest.raises(UserError, match=r"cache is damaged .*delete that folder"):
        open_cache(tmp_path / "cache")


@pytest.mark.parametrize("name", ["images.npy", "captions.json", "attributes.npy", "about.json"])
@pytest.mark.parametrize("fraction", [0.98, 0.5])
def test_a_truncated_file_raises(tmp_path: Path, name: str, fraction: float) -> None:
    write(tmp_path / "cache")
    path = tmp_path / "cache" / name
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    with pytest.raises(UserError, match=r"cache is damaged .*delete that folder"):
        open_cache(tmp_path / "cache")


@pytest.mark.parametrize("name", ["captions.json", "about.json", "images.npy", "attributes.npy"])
def test_an_empty_file_raises(tmp_path: Path, name: str) -> None:
    write(tmp_path / "cache")
    (tmp_path / "cache" / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"cache is damaged .*delete that folder"):
        open_cache(tmp_path / "cache")


@pytest.mark.parametrize("name", ["images.npy", "captions.json", "attributes.npy", "about.json"])
def test_a_file_of_garbage_raises(tmp_path: Path, name: str) -> None:
    write(tmp_path / "cache")
    (tmp_path / "cache" / name).write_bytes(b"\xff\xfe garbage" * 40)
    with pytest.raises(UserError, match=r"cache is damaged .*delete that folder"):
        open_cache(tmp_path / "cache")


def test_fingerprint_depends_on_values_but_not_on_key_order() -> None:
    one = fingerprint({"seed": 0, "resolution": 32})
    assert fingerprint({"resolution": 32, "seed": 0}) == one
    assert len({one, fingerprint({"seed": 1, "resolution": 32}), fingerprint({"seed": 0})}) == 3
    assert len(one) == 12
    assert int(one, 16) >= 0

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.images.test_decode import content, portrait, quarters
from omegaconf import OmegaConf
from PIL import Image

from t2f.data.datasets.photographs import Files, ImageDataset, ImageListing, hold_out, place
from t2f.data.faces import Faces
from t2f.utils.errors import UserError


class Source(ImageDataset):
    """The files of a folder in the order of their names, the last one held out."""

    name = "source"

    def __init__(self, folder: Path, cache: Path, **settings: Any) -> None:
        given: dict[str, Any] = {"resolution": 8, "crop": 1.0, "held_out": 0.1, "mirror": True, "on_error": "raise"}
        super().__init__(str(cache), **given | {"workers": 1} | settings)
        self.source = folder

    def read(self) -> ImageListing:
        names = sorted(path.name for path in self.source.iterdir())
        attributes = np.arange(len(names), dtype=np.int8)[:, None]
        return ImageListing(
            Files(self.source, names), len(names) - 1, [[name] for name in names], attributes, ["Number"]
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five faces of one grey each, of 20 x 24 pixels."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(5):
        Image.new("RGB", (20, 24), (40 * i,) * 3).save(folder / f"{i}.png")
    return folder


# --- many ------------------------------------------------------------------------------------------------------------


def test_one_worker_and_two_write_the_same_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(130):  # five chunks, the third of them with a hole
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / f"{i:03}.png")
    (folder / "070.png").write_bytes(b"no picture")
    sources = [Source(folder, tmp_path / str(workers), workers=workers, on_error="skip") for workers in (1, 2)]
    for source in sources:
        source.prepare()
    one, two = (source.folder for source in sources)
    assert sorted(path.name for path in one.iterdir()) == ["about.json", "images.npy"]
    assert one.name == two.name
    for name in ("about.json", "images.npy"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert sources[1].train.images[:, 0, 0, 0].tolist() == [i for i in range(129) if i != 70]


def test_faces_keep_the_contract(folder: Path, tmp_path: Path) -> None:
    source = Source(folder, tmp_path / "cache")
    source.prepare()
    assert (len(source.train), len(source.held_out)) == (4, 1)
    for faces, numbers in ((source.train, range(4)), (source.held_out, range(4, 5))):
        assert isinstance(faces, Faces)
        assert isinstance(faces.images, np.memmap)
        assert not faces.images.flags.writeable
        assert faces.images.dtype == np.uint8
        assert faces.images.shape[1:] == (3, 8, 8)
        assert faces.images[:, 0, 0, 0].tolist() == [40 * i for i in numbers]
        assert list(faces.captions) == [[f"{i}.png"] for i in numbers]
        assert faces.attributes.tolist() == [[i] for i in numbers]
        assert faces.attribute_names == ["Number"]


def test_the_source_may_be_read_only_and_stays_as_it_was(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    folder.chmod(0o555)
    try:
        Source(folder, tmp_path / "cache").prepare()
    finally:
        folder.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_finished_cache_is_not_decoded_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Source(folder, tmp_path / "cache").prepare()
    monkeypatch.setattr("t2f.data.datasets.photographs.decode_all", lambda *_: pytest.fail("decoded again"))
    again = Source(folder, tmp_path / "cache", workers=2, mirror=False)
    again.prepare()
    assert len(again.train) == 4


def _touch(folder: Path) -> None:
    os.utime(folder / "0.png", (1, 1))


def _grow(folder: Path) -> None:
    time = (folder / "0.png").stat().st_mtime_ns
    with (folder / "0.png").open("ab") as file:
        file.write(b"more")
    os.utime(folder / "0.png", ns=(time, time))


def _move(folder: Path) -> None:
    (folder / "0.png").rename(folder / "00.png")


@pytest.mark.parametrize("change", [_touch, _grow, _move])
def test_changed_files_have_another_cache(folder: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    before = Source(folder, tmp_path).folder
    change(folder)
    assert Source(folder, tmp_path).folder != before


@pytest.mark.parametrize("change", [{"resolution": 16}, {"crop": 0.5}, {"on_error": "skip"}])
def test_other_settings_have_another_cache(folder: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    assert Source(folder, tmp_path, **change).folder != Source(folder, tmp_path).folder


# --- what is wrong with the pictures ---------------------------------------------------------------------------------


def _truncate(path: Path) -> None:
    path.write_bytes(content(portrait(64, 64), "JPEG")[:-400])


def _link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.png")


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (_truncate, "truncated"),
    (lambda path: path.write_bytes(content(portrait(64, 64))[:300]), ""),
    (lambda path: path.write_bytes(b""), "it is empty"),
    (lambda path: path.write_text("<html>not found</html>"), "it is an HTML page, as of a failed download"),
    (_link_to_nothing, "it is not there"),
]


@pytest.mark.parametrize(("damage", "reason"), BROKEN)
def test_a_bad_picture_is_named(folder: Path, tmp_path: Path, damage: Callable[[Path], object], reason: str) -> None:
    damage(folder / "2.png")
    with pytest.raises(UserError, match=rf"/2\.png cannot be decoded \(.*{reason}.*\): .*data\.on_error=skip\.$"):
        Source(folder, tmp_path / "cache").prepare()
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(("damage", "reason"), BROKEN)
def test_a_bad_picture_can_be_left_out(
    folder: Path,
    tmp_path: Path,
    damage: Callable[[Path], object],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(folder / "2.png")
    source = Source(folder, tmp_path / "cache", on_error="skip")
    source.prepare()
    assert source.train.images[:, 0, 0, 0].tolist() == [0, 40, 120]
    assert list(source.train.captions) == [["0.png"], ["1.png"], ["3.png"]]
    assert source.train.attributes.tolist() == [[0], [1], [3]]
    assert list(source.held_out.captions) == [["4.png"]]
    said = capsys.readouterr().out
    assert "1 of 5 pictures cannot be decoded and are left out: " in said
    assert "2.png (" in said
    assert reason in said


def test_bad_pictures_are_told_at_each_start_and_once_by_each_source(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "2.png").write_text("bad")
    Source(folder, tmp_path / "cache", on_error="skip").prepare()
    first = capsys.readouterr().out.splitlines()[-1]
    assert first.startswith("1 of 5 pictures cannot be decoded and are left out: ")
    assert first.endswith("2.png (it is not an image).")
    again = Source(folder, tmp_path / "cache", on_error="skip")
    monkeypatch.setattr(again, "listing", replace(again.listing, notes=["A note \ud83d."]))
    again.prepare()
    assert capsys.readouterr().out == f"A note \ufffd.\n{first}\n"
    again.prepare()
    assert capsys.readouterr().out == ""


def test_of_many_bad_pictures_three_are_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(5, 10):
        (folder / f"{i}.png").write_text("bad")
    (folder / "z.png").write_bytes((folder / "0.png").read_bytes())
    Source(folder, tmp_path / "cache", on_error="skip").prepare()
    said = capsys.readouterr().out
    assert "5 of 11 pictures" in said
    assert said.count("(it is not an image)") == 3
    assert said.endswith(", ....\n")


def test_if_none_can_be_decoded_that_is_an_error(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        path.write_text("bad")
    with pytest.raises(UserError, match=r"^None of 5 pictures can be decoded; the first is .*0\.png \(it is not"):
        Source(folder, tmp_path / "cache", on_error="skip").prepare()


def test_if_all_that_is_held_out_is_bad_that_is_an_error(folder: Path, tmp_path: Path) -> None:
    (folder / "4.png").write_text("bad")
    source = Source(folder, tmp_path / "cache", on_error="skip")
    source.prepare()
    with pytest.raises(UserError, match=r"source leaves no face to hold out, of 4 in all: .*data\.held_out"):
        _ = source.train


def test_a_single_face_cannot_be_split(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    quarters().save(folder / "only.png")
    with pytest.raises(UserError, match=r"leaves no face to train on, of 1 in all"):
        Source(folder, tmp_path / "cache").prepare()


@pytest.mark.parametrize("name", ["images.npy", "about.json"])
def test_a_damaged_cache_is_told(folder: Path, tmp_path: Path, name: str) -> None:
    source = Source(folder, tmp_path / "cache")
    source.prepare()
    path = source.folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"is damaged .*: delete that folder and run again\.$"):
        _ = source.train


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("resolution", 2),
        ("resolution", 48),
        ("resolution", -8),
        ("crop", 0.0),
        ("crop", 1.1),
        ("crop", "abc"),
        ("crop", "0.5"),
        ("crop", None),
        ("crop", True),
        ("crop", float("nan")),
        ("crop", {250: 1.5}),
        ("held_out", 0),
        ("held_out", 1),
        ("on_error", "ignore"),
        ("workers", 0),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"^data\.{key} is {value}: it must be .*\.$"):
        Source(tmp_path, tmp_path, **{key: value})


@pytest.mark.parametrize("crop", [[0.5], OmegaConf.create([0.5]), OmegaConf.create({"a": 0.5})])
def test_a_crop_that_is_no_number_is_told(tmp_path: Path, crop: object) -> None:
    with pytest.raises(UserError, match=r"^data\.crop is .*0\.5.*: it must be a share of the width, a number above 0"):
        Source(tmp_path, tmp_path, crop=crop)


def test_what_is_held_out_stays_so_when_names_are_added() -> None:
    few = hold_out([str(i) for i in range(1000)], 0.1)
    many = hold_out([str(i) for i in range(2000)], 0.1)
    assert few == {name for name in many if int(name) < 1000}
    assert 60 < len(few) < 140  # four standard deviations
    assert hold_out(["a", "b"], 1e-9) == {min("ab", key=place)}

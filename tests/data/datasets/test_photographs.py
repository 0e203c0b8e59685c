import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.images.test_decode import encoded, quadrants, smooth
from omegaconf import OmegaConf
from PIL import Image

from t2f.data.datasets.photographs import Files, ImageDataset, ImageListing, hold_out, split_position
from t2f.data.faces import Faces
from t2f.utils.errors import UserError


class FolderDataset(ImageDataset):
    """The files of a folder, sorted by name. The last one is held out."""

    name = "source"

    def __init__(self, folder: Path, cache: Path, **settings: Any) -> None:
        defaults: dict[str, Any] = {"resolution": 8, "crop": 1.0, "held_out": 0.1, "mirror": True, "on_error": "raise"}
        super().__init__(str(cache), **defaults | {"workers": 1} | settings)
        self.source = folder

    def read(self) -> ImageListing:
        names = sorted(path.name for path in self.source.iterdir())
        attributes = np.arange(len(names), dtype=np.int8)[:, None]
        return ImageListing(
            Files(self.source, names), len(names) - 1, [[name] for name in names], attributes, ["Number"]
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five uniformly gray images of 20 x 24 pixels."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(5):
        Image.new("RGB", (20, 24), (40 * i,) * 3).save(folder / f"{i}.png")
    return folder


# --- cache -----------------------------------------------------------------------------------------------------------


def test_the_cache_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(130):  # five chunks, one image of the third is damaged
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / f"{i:03}.png")
    (folder / "070.png").write_bytes(b"not an image")
    sources = [FolderDataset(folder, tmp_path / str(workers), workers=workers, on_error="skip") for workers in (1, 2)]
    for source in sources:
        source.prepare()
    one, two = (source.folder for source in sources)
    assert sorted(path.name for path in one.iterdir()) == ["about.json", "images.npy"]
    assert one.name == two.name
    for name in ("about.json", "images.npy"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert sources[1].train.images[:, 0, 0, 0].tolist() == [i for i in range(129) if i != 70]


def test_shapes_dtypes_and_split(folder: Path, tmp_path: Path) -> None:
    source = FolderDataset(folder, tmp_path / "cache")
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


def test_the_source_folder_is_not_modified(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    folder.chmod(0o555)
    try:
        FolderDataset(folder, tmp_path / "cache").prepare()
    finally:
        folder.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_an_existing_cache_is_not_decoded_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FolderDataset(folder, tmp_path / "cache").prepare()
    monkeypatch.setattr("t2f.data.datasets.photographs.decode_all", lambda *_: pytest.fail("decoded again"))
    again = FolderDataset(folder, tmp_path / "cache", workers=2, mirror=False)
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
def test_changed_files_use_another_cache(folder: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    before = FolderDataset(folder, tmp_path).folder
    change(folder)
    assert FolderDataset(folder, tmp_path).folder != before


@pytest.mark.parametrize("change", [{"resolution": 16}, {"crop": 0.5}, {"on_error": "skip"}])
def test_other_settings_use_another_cache(folder: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    assert FolderDataset(folder, tmp_path, **change).folder != FolderDataset(folder, tmp_path).folder


# --- damaged images --------------------------------------------------------------------------------------------------


def _truncate(path: Path) -> None:
    path.write_bytes(encoded(smooth(64, 64), "JPEG")[:-400])


def _dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere.png")


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (_truncate, "truncated"),
    (lambda path: path.write_bytes(encoded(smooth(64, 64))[:300]), ""),
    (lambda path: path.write_bytes(b""), "it is empty"),
    (lambda path: path.write_text("<html>not found</html>"), "it is an HTML page, e.g. from a failed download"),
    (_dangling_link, "it does not exist"),
]


@pytest.mark.parametrize(("damage", "reason"), BROKEN)
def test_a_damaged_image_raises(folder: Path, tmp_path: Path, damage: Callable[[Path], object], reason: str) -> None:
    damage(folder / "2.png")
    with pytest.raises(UserError, match=rf"/2\.png cannot be decoded \(.*{reason}.*\): .*data\.on_error=skip\.$"):
        FolderDataset(folder, tmp_path / "cache").prepare()
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(("damage", "reason"), BROKEN)
def test_a_damaged_image_is_skipped(
    folder: Path,
    tmp_path: Path,
    damage: Callable[[Path], object],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(folder / "2.png")
    source = FolderDataset(folder, tmp_path / "cache", on_error="skip")
    source.prepare()
    assert source.train.images[:, 0, 0, 0].tolist() == [0, 40, 120]
    assert list(source.train.captions) == [["0.png"], ["1.png"], ["3.png"]]
    assert source.train.attributes.tolist() == [[0], [1], [3]]
    assert list(source.held_out.captions) == [["4.png"]]
    output = capsys.readouterr().out
    assert "1 of 5 images cannot be decoded and are skipped: " in output
    assert "2.png (" in output
    assert reason in output


def test_skipped_images_are_printed_once_by_each_data_set(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "2.png").write_text("bad")
    FolderDataset(folder, tmp_path / "cache", on_error="skip").prepare()
    first = capsys.readouterr().out.splitlines()[-1]
    assert first.startswith("1 of 5 images cannot be decoded and are skipped: ")
    assert first.endswith("2.png (it is not an image).")
    again = FolderDataset(folder, tmp_path / "cache", on_error="skip")
    monkeypatch.setattr(again, "listing", replace(again.listing, notes=["A note \ud83d."]))
    again.prepare()
    assert capsys.readouterr().out == f"A note \ufffd.\n{first}\n"
    again.prepare()
    assert capsys.readouterr().out == ""


def test_three_of_many_damaged_images_are_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(5, 10):
        (folder / f"{i}.png").write_text("bad")
    (folder / "z.png").write_bytes((folder / "0.png").read_bytes())
    FolderDataset(folder, tmp_path / "cache", on_error="skip").prepare()
    output = capsys.readouterr().out
    assert "5 of 11 images" in output
    assert output.count("(it is not an image)") == 3
    assert output.endswith(", ....\n")


def test_no_decodable_image_raises(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        path.write_text("bad")
    with pytest.raises(UserError, match=r"^None of 5 images can be decoded; the first is .*0\.png \(it is not"):
        FolderDataset(folder, tmp_path / "cache", on_error="skip").prepare()


def test_no_decodable_held_out_image_raises(folder: Path, tmp_path: Path) -> None:
    (folder / "4.png").write_text("bad")
    source = FolderDataset(folder, tmp_path / "cache", on_error="skip")
    source.prepare()
    with pytest.raises(UserError, match=r"source leaves no face to hold out, of 4 in total: .*data\.held_out"):
        _ = source.train


def test_a_single_image_cannot_be_split(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    quadrants().save(folder / "only.png")
    with pytest.raises(UserError, match=r"leaves no face to train on, of 1 in total"):
        FolderDataset(folder, tmp_path / "cache").prepare()


@pytest.mark.parametrize("name", ["images.npy", "about.json"])
def test_a_damaged_cache_raises(folder: Path, tmp_path: Path, name: str) -> None:
    source = FolderDataset(folder, tmp_path / "cache")
    source.prepare()
    path = source.folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"is damaged .*: delete that folder and run again\.$"):
        _ = source.train


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
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
def test_arguments_out_of_range_raise(tmp_path: Path, argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{argument} must be .*, but is {value}\.$"):
        FolderDataset(tmp_path, tmp_path, **{argument: value})


@pytest.mark.parametrize("crop", [[0.5], OmegaConf.create([0.5]), OmegaConf.create({"a": 0.5})])
def test_a_crop_that_is_not_a_number_raises(tmp_path: Path, crop: object) -> None:
    with pytest.raises(
        ValueError, match=r"^crop must be a fraction of the width, above 0 and at most 1, but is .*0\.5"
    ):
        FolderDataset(tmp_path, tmp_path, crop=crop)


def test_held_out_names_remain_held_out_when_names_are_added() -> None:
    few = hold_out([str(i) for i in range(1000)], 0.1)
    many = hold_out([str(i) for i in range(2000)], 0.1)
    assert few == {name for name in many if int(name) < 1000}
    assert 60 < len(few) < 140  # four standard deviations
    assert hold_out(["a", "b"], 1e-9) == {min("ab", key=split_position)}

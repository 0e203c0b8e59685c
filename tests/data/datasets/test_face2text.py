import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2f.data.datasets.face2text import Face2Text
from t2f.utils.errors import UserError

REAL = os.environ.get("T2F_TEST_DATA")
PEOPLE = [f"{first}_{last}" for first in ("Ann", "José", "Li", "Mo", "Zoë") for last in ("Abe", "Bo")]
NAMES = [f"{name}/{name}_{k:04}" for name in PEOPLE for k in (1, 2, 3)]  # without extensions
DESCRIBED = [name for name in NAMES if not name.endswith("_0003")]
TEXTS = {name: [f"{name} smiles", f"una señora {i}"] for i, name in enumerate(DESCRIBED)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten people with three uniformly gray images each, in LFW's layout. Two of the three are described."""
    for i, name in enumerate(NAMES):
        path = tmp_path / "lfw" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), 8 * i).save(path, quality=95)
    write_first_format(tmp_path, TEXTS)
    return tmp_path


def write_first_format(folder: Path, texts: dict[str, list[str]], ending: str = ".png") -> None:
    entries = [
        {"image": f"{name}{ending}", "descriptions": [{"text": text} for text in some]} for name, some in texts.items()
    ]
    write(folder, entries)


def write(folder: Path, content: Any) -> None:
    (folder / "clean.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def source(folder: Path, **settings: Any) -> Face2Text:
    defaults: dict[str, Any] = {"cache": str(folder / "cache"), "resolution": 4, "workers": 1, "held_out": 0.3}
    return Face2Text(str(folder / "lfw"), str(folder / "clean.json"), **defaults | settings)


def prepared(folder: Path, **settings: Any) -> Face2Text:
    made = source(folder, **settings)
    made.prepare()
    return made


def image_names(faces: Any) -> list[str]:
    """Return the names of images by their gray level."""
    return [NAMES[round(int(value) / 8)] for value in faces.images[:, 0, 2, 2]]


def people(faces: Any) -> set[str]:
    return {name.split("/")[0] for name in image_names(faces)}


def test_the_first_format_is_split_by_person(folder: Path) -> None:
    faces = prepared(folder)
    assert faces.name == "face2text"
    assert faces.mirror is True
    assert len(people(faces.held_out)) == 3
    assert not people(faces.train) & people(faces.held_out)
    assert sorted(image_names(faces.train) + image_names(faces.held_out)) == sorted(DESCRIBED)
    for some in (faces.train, faces.held_out):
        assert list(some.captions) == [TEXTS[name] for name in image_names(some)]
        assert some.attributes.shape == (len(some), 0)
        assert some.attributes.dtype == np.int8
        assert list(some.attribute_names) == []


@pytest.mark.parametrize("key", ["image", "filename"])
@pytest.mark.parametrize("with_folder", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_the_later_format_is_equivalent(folder: Path, key: str, with_folder: bool, wrapped: bool) -> None:
    before = source(folder).listing
    entries = [
        {key: f"{name if with_folder else Path(name).name}.jpg", "description": text, "id": 3}
        for k in (0, 1)  # the entries of one image are not adjacent
        for name, texts in TEXTS.items()
        for text in texts[k : k + 1]
    ]
    write(folder, {"version": "2.0", "annotations": entries} if wrapped else entries)
    after = source(folder).listing
    assert after.images.read(range(20)) == before.images.read(range(20))
    assert (after.captions, after.train) == (before.captions, before.train)


def test_undescribed_images_are_appended_to_the_training_faces(folder: Path) -> None:
    without, faces = prepared(folder), prepared(folder, undescribed=True)
    assert np.array_equal(faces.held_out.images, without.held_out.images)
    described = len(without.train)
    assert image_names(faces.train)[:described] == image_names(without.train)
    assert list(faces.train.captions)[described:] == [[]] * 7
    assert set(image_names(faces.train)[described:]) == {f"{name}/{name}_0003" for name in people(without.train)}


def test_empty_descriptions_are_ignored(folder: Path) -> None:
    texts = TEXTS | {DESCRIBED[0]: ["", "  \n"], DESCRIBED[1]: ["  a man \n", ""]}
    write_first_format(folder, texts)
    listing = source(folder, undescribed=True, held_out=0.01).listing
    captions = dict(zip(listing.images.read(range(len(listing.captions))), listing.captions, strict=True))
    one, two = (str(folder / "lfw" / f"{name}.jpg") for name in DESCRIBED[:2])
    assert captions[one] == []
    assert captions[two] == ["a man"]
    assert one not in source(folder).listing.images.read(range(19))


def test_unpaired_surrogates_are_replaced(folder: Path) -> None:
    text = '"a \\ud83d face"'
    content = json.dumps([{"image": f"{name}.png", "description": "TEXT"} for name in DESCRIBED])
    (folder / "clean.json").write_text(content.replace('"TEXT"', text))
    assert source(folder).listing.captions == [["a \ufffd face"]] * len(DESCRIBED)


def test_each_numbered_image_of_celeba_counts_as_a_person(folder: Path) -> None:
    for i in range(20):
        Image.new("L", (16, 16)).save(folder / "lfw" / f"{i:06}.jpg")
    write(folder, [{"filename": f"{i:06}.jpg", "description": "a face"} for i in range(20)])
    listing = source(folder).listing
    assert (listing.train, len(listing.images)) == (14, 20)


def test_the_split_does_not_depend_on_the_order_of_entries(folder: Path, tmp_path: Path) -> None:
    held_out = people(prepared(folder).held_out)
    write_first_format(folder, dict(reversed(TEXTS.items())))
    assert people(prepared(folder).held_out) == held_out
    assert people(prepared(folder, held_out=0.5).held_out) > held_out


def test_images_of_lfws_size_are_cropped(folder: Path) -> None:
    for i, name in enumerate(NAMES):
        image = Image.new("L", (250, 250), 255)
        image.paste(8 * i, (61, 61, 189, 189))
        image.save(folder / "lfw" / f"{name}.jpg", quality=95)
    faces = prepared(folder)
    assert int(faces.train.images.max()) < 255 - 10
    assert int(prepared(folder, crop=1.0).train.images.max()) == 255
    assert faces.folder != prepared(folder, crop=0.512).folder


def test_images_may_be_in_one_folder(folder: Path) -> None:
    for name in NAMES:
        (folder / "lfw" / f"{name}.jpg").rename(folder / "lfw" / f"{Path(name).name}.jpg")
    faces = prepared(folder, undescribed=True)
    assert not people(faces.train) & people(faces.held_out)
    assert len(faces.train) + len(faces.held_out) == 30 - 3


@pytest.mark.parametrize(
    "spell",
    [lambda name: name.replace("/", "\\"), lambda name: f"lfw/{name}", str.upper, lambda name: f"/home/ann/{name}"],
)
def test_variants_of_image_names(folder: Path, spell: Callable[[str], str]) -> None:
    before = source(folder).listing
    write(
        folder,
        [{"image": spell(name), "descriptions": [{"text": text} for text in texts]} for name, texts in TEXTS.items()],
    )
    after = source(folder).listing
    assert after.images.read(range(20)) == before.images.read(range(20))
    assert (after.captions, after.train) == (before.captions, before.train)


# --- errors ----------------------------------------------------------------------------------------------------------


def test_missing_files_raise(folder: Path) -> None:
    (folder / "clean.json").unlink()
    with pytest.raises(UserError, match=r'^No such file: .*clean\.json \(data\.descriptions\); .*"descriptions"'):
        _ = source(folder).listing
    (folder / "lfw").rename(folder / "other")
    with pytest.raises(UserError, match=r"^No such folder: .*lfw \(data\.images\); .*Name/Name_0001\.jpg\.$"):
        _ = source(folder).listing


def test_a_missing_described_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "lfw" / f"{DESCRIBED[2]}.jpg").unlink()
    with pytest.raises(UserError, match=rf"describes {DESCRIBED[2]}\.png, which is not in .*data\.on_error=skip\.$"):
        _ = source(folder).listing
    faces = prepared(folder, on_error="skip")
    assert len(faces.train) + len(faces.held_out) == 19
    assert f"1 described images are not in {folder}/lfw: {DESCRIBED[2]}.png.\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, r"clean\.json contains no list; expected"),
        ({"version": 1}, r"clean\.json contains no list; expected"),
        ([], r"clean\.json describes no image of .*lfw; expected"),
        ([{"image": f"{DESCRIBED[0]}.png", "descriptions": [{"text": ""}]}], "describes no image of"),
        ([{"description": "a man"}], r"^Entry 1 of .*clean\.json has another format; expected"),
        ([{"image": f"{DESCRIBED[0]}.png"}], "^Entry 1 of "),
        ([{"image": f"{DESCRIBED[0]}.png", "description": 3}], "^Entry 1 of "),
        ([{"image": f"{DESCRIBED[0]}.png", "descriptions": [{"words": "a"}]}], "^Entry 1 of "),
        ([{"image": f"{DESCRIBED[0]}.png", "description": "a"}, "b"], "^Entry 2 of "),
        ([{"image": "../secret.png", "description": "a"}], r"names \.\./secret\.png, which is outside of the folder"),
        ([{"image": "/etc/secret.png", "description": "a"}], r"names /etc/secret\.png, which is outside of the folder"),
    ],
)
def test_malformed_descriptions_raise(folder: Path, content: Any, message: str) -> None:
    write(folder, content)
    with pytest.raises(UserError, match=message):
        _ = source(folder).listing


def test_a_file_that_is_not_json_raises(folder: Path) -> None:
    (folder / "clean.json").write_text('[{"image": ')
    with pytest.raises(UserError, match=r"clean\.json is not JSON \(.*line 1 column .*\): download it again"):
        _ = source(folder).listing


def test_a_folder_without_permission_raises(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"/lfw cannot be read \(Permission denied\): check data\.\*, .*\.$"):
        _ = source(folder).listing


def test_one_person_cannot_be_split(folder: Path) -> None:
    write_first_format(folder, {DESCRIBED[0]: ["a"], DESCRIBED[1]: ["b"]})
    with pytest.raises(UserError, match=r"face2text leaves no face to train on, of 2 in total"):
        _ = source(folder).listing


@pytest.mark.skipif(REAL is None, reason="T2F_TEST_DATA is not set")
def test_real_data(tmp_path: Path) -> None:
    faces = Face2Text(f"{REAL}/lfw", f"{REAL}/face2text/clean.json", cache=str(tmp_path), resolution=32, workers=1)
    faces.prepare()
    assert (len(faces.train), len(faces.held_out)) == (270, 30)
    assert sum(map(len, faces.train.captions)) + sum(map(len, faces.held_out.captions)) == 888
    assert all(faces.train.captions)
    assert 60 < faces.train.images.mean() < 180

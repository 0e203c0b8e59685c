import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2f.data.datasets.hf_hub import HFHub, HubImages
from t2f.utils.errors import UserError

datasets = pytest.importorskip("datasets", reason="datasets is not installed")

TEXTS: list[Any] = [f"face {i} 微笑" for i in range(20)]


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")


def image(i: int) -> Image.Image:
    return Image.new("RGB", (12, 16), (12 * i,) * 3)


def rows(texts: list[Any] = TEXTS, start: int = 0, stop: int = 20) -> Any:
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "caption": datasets.List(datasets.Value("string"))
            if isinstance(texts[0], list)
            else datasets.Value("string"),
        }
    )
    images = [image(i) for i in range(start, stop)]
    return datasets.Dataset.from_dict({"picture": images, "caption": texts[start:stop]}, features)


def image_folder(path: Path) -> None:
    path.mkdir()
    for i in range(20):
        image(i).save(path / f"{i}.png")
    lines = [json.dumps({"file_name": f"{i}.png", "caption": TEXTS[i]}) + "\n" for i in range(20)]
    (path / "metadata.jsonl").write_text("".join(lines))


def parquet(path: Path) -> None:
    path.mkdir()
    rows().to_parquet(path / "train.parquet")


def on_disk(path: Path) -> None:
    rows().save_to_disk(path)


def dict_on_disk(path: Path) -> None:
    datasets.DatasetDict({"train": rows(), "test": rows(stop=5)}).save_to_disk(path)


def save_as_two_splits(data: Any, path: Path) -> None:
    """Save the same rows as the splits train and test."""
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(path)


def source(path: Path, **settings: Any) -> HFHub:
    defaults: dict[str, Any] = {"cache": str(path.parent / "cache"), "resolution": 4, "workers": 1, "held_out": 0.2}
    defaults |= {"image": "picture", "text": "caption"}
    return HFHub(str(path), **defaults | settings)


def prepared(path: Path, **settings: Any) -> HFHub:
    made = source(path, **settings)
    made.prepare()
    return made


def numbers(faces: Any) -> list[int]:
    """Return the indices of faces by their gray level."""
    return (faces.images[:, 0, 2, 2] // 12).tolist()


@pytest.mark.parametrize("make", [image_folder, parquet, on_disk, dict_on_disk])
def test_local_data_sets(tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "data")
    name = "image" if make is image_folder else "picture"
    faces = prepared(tmp_path / "data", image=name)
    assert faces.name == "hub"
    assert faces.mirror is True
    assert sorted(numbers(faces.train) + numbers(faces.held_out)) == list(range(20))
    for some in (faces.train, faces.held_out):
        assert len(some) > 0
        assert list(some.captions) == [[TEXTS[i]] for i in numbers(some)]
        assert some.attributes.shape == (len(some), 0)
        assert some.attributes.dtype == np.int8

    monkeypatch.setattr("t2f.data.datasets.photographs.decode_all", lambda *_: pytest.fail("decoded again"))
    again = prepared(tmp_path / "data", image=name, held_out=0.4)
    assert set(numbers(again.held_out)) > set(numbers(faces.held_out))


def test_a_split_may_be_held_out(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": rows(), "test": rows(start=12)}).save_to_disk(tmp_path / "data")
    faces = prepared(tmp_path / "data", held_out_split="test")
    assert numbers(faces.train) == list(range(20))
    assert numbers(faces.held_out) == list(range(12, 20))
    assert list(faces.held_out.captions) == [[text] for text in TEXTS[12:]]


def test_a_split_may_be_a_slice(tmp_path: Path) -> None:
    parquet(tmp_path / "data")
    faces = prepared(tmp_path / "data", split="train[:8]", held_out_split="train[8:12]")
    assert numbers(faces.train) == list(range(8))
    assert numbers(faces.held_out) == list(range(8, 12))


def test_texts_may_be_lists_empty_or_null(tmp_path: Path) -> None:
    save_as_two_splits(rows([["a ", "b"], [], [""], None, *[["c"]] * 16]), tmp_path / "lists")
    listing = source(tmp_path / "lists", held_out_split="test").listing
    assert listing.captions[:5] == [["a", "b"], [], [], [], ["c"]]
    save_as_two_splits(rows(["a", None, " ", *["c"] * 17]), tmp_path / "texts")
    listing = source(tmp_path / "texts", held_out_split="test").listing
    assert listing.captions[:4] == [["a"], [], [], ["c"]]


def test_images_may_be_bytes_or_paths(tmp_path: Path) -> None:
    for i in range(20):
        image(i).save(tmp_path / f"{i}.png")
    paths = [str(tmp_path / f"{i}.png") for i in range(20)]
    for name, column in (("paths", paths), ("bytes", [Path(path).read_bytes() for path in paths])):
        datasets.Dataset.from_dict({"picture": column, "caption": TEXTS}).save_to_disk(tmp_path / name)
        faces = prepared(tmp_path / name)
        assert list(faces.train.captions) == [[TEXTS[i]] for i in numbers(faces.train)]


def test_other_data_use_another_cache(tmp_path: Path) -> None:
    rows().save_to_disk(tmp_path / "one")
    rows(start=1).save_to_disk(tmp_path / "two")
    assert source(tmp_path / "one").folder != source(tmp_path / "two").folder


def test_unpaired_surrogates_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(tmp_path / "data")
    texts = [["a \ud83d face", "b"], "\ud83d", None] + ["c"] * 17  # Arrow cannot store them
    monkeypatch.setattr(datasets.arrow_dataset.Dataset, "__getitem__", lambda *_: {"caption": texts})
    hub = source(tmp_path / "data")
    assert hub._captions(rows())[:4] == [["a \ufffd face", "b"], ["\ufffd"], [], ["c"]]


@pytest.mark.parametrize("selected", [slice(0, 20), slice(5, 10), slice(0, 20, 3)])
def test_the_identity_includes_external_files_only(tmp_path: Path, selected: slice) -> None:
    images: list[Any] = [None, {"bytes": b"content", "path": "a.png"}, str(tmp_path / "b.png"), "c.png"] * 5
    data = datasets.Dataset.from_dict({"picture": images}, datasets.Features({"picture": datasets.Image()}))
    data = data.cast_column("picture", datasets.Image(decode=False)).select(range(20)[selected])
    (tmp_path / "b.png").write_bytes(b"12345")
    os.utime(tmp_path / "b.png", ns=(7, 7))
    found = HubImages("title", "picture", [data], [], "key").identity()[3:]
    external = {2: (str(tmp_path / "b.png"), 5, 7), 3: ("c.png", -1, -1)}
    assert found == [external[i % 4] for i in range(20)[selected] if i % 4 in external]


def test_changed_files_use_another_cache(tmp_path: Path) -> None:
    for i in range(20):
        image(i).save(tmp_path / f"{i}.png")
    paths = [str(tmp_path / f"{i}.png") for i in range(20)]
    datasets.Dataset.from_dict({"picture": paths, "caption": TEXTS}).save_to_disk(tmp_path / "data")
    before = prepared(tmp_path / "data")
    assert source(tmp_path / "data", held_out=0.5).folder == before.folder
    image(19).save(tmp_path / "0.png")
    os.utime(tmp_path / "0.png", (1, 1))
    after = prepared(tmp_path / "data")
    assert after.folder != before.folder
    assert numbers(after.train).count(19) + numbers(after.held_out).count(19) == 2


def test_a_damaged_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = rows().cast_column("picture", datasets.Image(decode=False))
    images = [*data["picture"][:3], {"bytes": b"bad", "path": None}, None, *data["picture"][5:]]
    features = datasets.Features({"picture": datasets.Image(), "caption": datasets.Value("string")})
    damaged = datasets.Dataset.from_dict({"picture": images, "caption": TEXTS}, features)
    save_as_two_splits(damaged, tmp_path / "data")
    settings: dict[str, Any] = {"held_out_split": "test"}
    with pytest.raises(UserError, match=r"row 3 of .*data \(.*\) cannot be decoded \(it is not an image\): .*=skip\.$"):
        prepared(tmp_path / "data", **settings)
    faces = prepared(tmp_path / "data", on_error="skip", **settings)
    assert numbers(faces.train) == [i for i in range(20) if i not in (3, 4)]
    assert "4 of 40 images cannot be decoded and are skipped: " in capsys.readouterr().out


# --- column names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["text", "caption", "prompt", "descriptions", "Beschreibung"])
@pytest.mark.parametrize("picture", ["image", "img", "portrait"])
def test_the_only_column_that_qualifies_is_used(
    tmp_path: Path, picture: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = rows([f"a face, number {i}" for i in range(20)]).rename_columns({"picture": picture, "caption": text})
    data.add_column("license", ["free for all uses"] * 20).add_column("age", [3] * 20).save_to_disk(tmp_path / "data")
    faces = prepared(tmp_path / "data", image=None, text=None)
    assert list(faces.train.captions) == [[f"a face, number {i}"] for i in numbers(faces.train)]
    output = capsys.readouterr().out
    assert (f"The texts are taken from the column {text} of the data set " in output) == (text != "text")
    assert (f"The images are taken from the column {picture} of the data set " in output) == (picture != "image")


def test_several_columns_that_qualify_raise(tmp_path: Path) -> None:
    data = rows().add_column("prompt", ["a face"] * 20)
    data.save_to_disk(tmp_path / "texts")
    with pytest.raises(
        UserError, match=r"^the data set .* no column text, but caption and prompt: choose one with data\.text"
    ):
        _ = source(tmp_path / "texts", text=None).listing
    assert source(tmp_path / "texts", text="prompt").listing.captions == [["a face"]] * 20
    datasets.concatenate_datasets(
        [rows(), rows().rename_column("picture", "other").remove_columns("caption")], axis=1
    ).save_to_disk(tmp_path / "no_texts")
    with pytest.raises(UserError, match=r"no column image, but picture and other: choose one with data\.image\.$"):
        _ = source(tmp_path / "no_texts", image=None).listing


def test_a_column_that_the_held_out_split_lacks_raises(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": rows(), "test": rows().rename_column("caption", "text")}).save_to_disk(
        tmp_path / "data"
    )
    with pytest.raises(UserError, match=r"has no column caption: set data\.text to one of picture, text\.$"):
        _ = source(tmp_path / "data", text=None, held_out_split="test").listing


# --- errors ----------------------------------------------------------------------------------------------------------


def test_a_missing_library_raises_with_the_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"^data=hub needs a package \(.*\): pip install -e '\.\[hub\]'\.$"):
        _ = source(tmp_path).listing


def test_missing_columns_raise_with_the_existing_ones(tmp_path: Path) -> None:
    on_disk(tmp_path / "data")
    with pytest.raises(UserError, match=r"has no column image: set data\.image to one of picture, caption\.$"):
        _ = source(tmp_path / "data", image="image").listing
    with pytest.raises(UserError, match=r"has no column text: set data\.text to one of picture, caption\.$"):
        _ = source(tmp_path / "data", text="text").listing
    rows().select_columns("picture").save_to_disk(tmp_path / "no_texts")
    with pytest.raises(UserError, match=r"has no column text: set data\.text to one of picture\.$"):
        _ = source(tmp_path / "no_texts", text=None).listing


def test_columns_of_other_types_raise(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"number": [1, 2], "text": ["a", "b"]}).save_to_disk(tmp_path / "data")
    with pytest.raises(UserError, match=r"column number of .* has no images: set data\.image"):
        _ = source(tmp_path / "data", image="number", text="text").listing
    with pytest.raises(
        UserError, match=r"^Row 0 of .* has a number that is neither a string nor a list of strings: set"
    ):
        _ = source(tmp_path / "data", image="text", text="number").listing


def test_data_that_cannot_be_loaded_raise(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^The data set .*none cannot be loaded \(.*\): check data\.dataset"):
        _ = source(tmp_path / "none").listing
    dict_on_disk(tmp_path / "data")
    with pytest.raises(UserError, match=r"data has no split valid: choose one of train, test\.$"):
        _ = source(tmp_path / "data", split="valid").listing
    on_disk(tmp_path / "one")
    for settings in ({"held_out_split": "test"}, {"split": "test"}, {"split": "train[:8]"}):
        with pytest.raises(
            UserError, match=r"one was saved without splits and has no split t.*: set data\.split=train"
        ):
            _ = source(tmp_path / "one", **settings).listing
    parquet(tmp_path / "parquet")
    with pytest.raises(UserError, match=r"^The data set .*parquet cannot be loaded \(.*valid.*\): check data\.dataset"):
        _ = source(tmp_path / "parquet", split="valid").listing

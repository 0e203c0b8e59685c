import errno
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2f.data.captions import generate_all
from t2f.data.captions.generate import CACHE_VERSION, generate_caption
from t2f.data.datasets.celeba import CelebA
from t2f.utils.errors import UserError

NAMES = ["5_o_Clock_Shadow", "Black_Hair", "Eyeglasses", "Male", "Mouth_Slightly_Open", "Smiling"]
VALUES = np.random.default_rng(0).choice([-1, 1], (20, len(NAMES)))
FILES = [f"{i + 1:06}.jpg" for i in range(20)]
REAL = os.environ.get("T2F_TEST_DATA")


def write_images(folder: Path) -> None:
    """20 uniformly gray images, whose levels are 10 apart."""
    folder.mkdir(parents=True)
    for i, name in enumerate(FILES):
        Image.new("L", (18, 22), 10 * i).save(folder / name, quality=95)


def original(files: list[str] = FILES, values: Any = VALUES, count: int | None = None) -> str:
    """list_attr_celeba.txt in the authors' format: padded numbers, a trailing space after the names."""
    rows = [f"{name} {' '.join(f'{value:2d}' for value in row)}" for name, row in zip(files, values, strict=True)]
    return "\n".join([str(len(files) if count is None else count), " ".join(NAMES) + " ", *rows, ""])


def kaggle() -> str:
    rows = [",".join([name, *map(str, row)]) for name, row in zip(FILES, VALUES, strict=True)]
    return "\r\n".join([",".join(["image_id", *NAMES]), *rows, ""])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "celeba"
    write_images(folder / "img_align_celeba")
    (folder / "list_attr_celeba.txt").write_text(original())
    return folder


def source(folder: Path, **settings: Any) -> CelebA:
    defaults: dict[str, Any] = {"cache": str(folder.parent / "cache"), "resolution": 4, "workers": 1, "held_out": 0.1}
    return CelebA(str(folder), **defaults | settings)


def prepared(folder: Path, **settings: Any) -> CelebA:
    made = source(folder, **settings)
    made.prepare()
    return made


def numbers(faces: Any) -> list[int]:
    """Return the indices of faces by their gray level."""
    return [round(int(value) / 10) for value in faces.images[:, 0, 2, 2]]


def test_the_format_of_the_authors(folder: Path) -> None:
    celeba = prepared(folder)
    assert celeba.name == "celeba"
    assert celeba.mirror is True
    assert numbers(celeba.train) == list(range(18))
    assert numbers(celeba.held_out) == [18, 19]
    assert celeba.train.attribute_names == NAMES
    assert celeba.train.attributes.dtype == np.int8
    assert np.array_equal(celeba.train.attributes, (VALUES[:18] > 0).astype(int))
    assert np.array_equal(celeba.held_out.attributes, (VALUES[18:] > 0).astype(int))
    assert [len(captions) for captions in celeba.train.captions] == [4] * 18


def test_the_format_of_kaggle_is_equivalent(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "kaggle"
    write_images(other / "img_align_celeba" / "img_align_celeba")
    (other / "list_attr_celeba.csv").write_bytes(kaggle().encode())
    (other / "list_eval_partition.csv").write_text(partition("image_id,partition\n", ","))
    one, two = prepared(folder), prepared(other)
    for left, right in ((one.train, two.train), (one.held_out, two.held_out)):
        assert np.array_equal(left.images, right.images)
        assert np.array_equal(left.attributes, right.attributes)
        assert list(left.captions) == list(right.captions)
        assert left.attribute_names == right.attribute_names


def partition(header: str = "", separator: str = " ", held_out: tuple[int, ...] = (18, 19)) -> str:
    parts = [1 + i % 2 if i in held_out else 0 for i in range(20)]
    return header + "".join(f"{name}{separator}{part}\n" for name, part in zip(FILES, parts, strict=True))


def test_the_partition_is_the_split(folder: Path) -> None:
    (folder / "list_eval_partition.txt").write_text(partition(held_out=(3, 8, 9)))
    celeba = prepared(folder)
    assert numbers(celeba.held_out) == [3, 8, 9]
    assert numbers(celeba.train) == [i for i in range(20) if i not in (3, 8, 9)]
    assert np.array_equal(celeba.held_out.attributes, (VALUES[[3, 8, 9]] > 0).astype(int))


def test_a_limit_within_the_training_partition_holds_out_the_last_faces(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "list_eval_partition.txt").write_text(partition())
    celeba = prepared(folder, limit=10)
    assert numbers(celeba.train) == list(range(9))
    assert numbers(celeba.held_out) == [9]
    assert (
        "list_eval_partition.txt holds out none of these 10 faces: the last 1 are held out." in capsys.readouterr().out
    )


def test_images_beyond_the_limit_may_be_missing(folder: Path) -> None:
    for name in FILES[10:]:
        (folder / "img_align_celeba" / name).unlink()
    assert numbers(prepared(folder, limit=10).train) == list(range(9))
    assert len(source(folder, limit=10, held_out=0.5).listing.images) == 10


def test_captions_are_generated_from_the_chosen_attributes_only(folder: Path) -> None:
    celeba = prepared(folder, attributes=["Smiling", "Male"], captions_per_face=2, seed=7)
    assert celeba.train.attribute_names == ["Male", "Smiling"]
    assert np.array_equal(celeba.train.attributes, (VALUES[:18][:, [3, 5]] > 0).astype(int))
    for name, row, captions in zip(FILES[:18], VALUES, celeba.train.captions, strict=False):
        rng = random.Random(f"7 {name}")
        face = {"Male": int(row[3] > 0), "Smiling": int(row[5] > 0)}
        assert captions == [generate_caption(face, rng).text for _ in range(2)]


def test_other_attributes_use_the_same_image_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {prepared(folder).folder}
    monkeypatch.setattr("t2f.data.datasets.photographs.decode_all", lambda *_: pytest.fail("decoded again"))
    folders |= {prepared(folder, attributes=["Male"]).folder, prepared(folder, captions_per_face=1, seed=3).folder}
    folders.add(prepared(folder, held_out=0.5).folder)
    assert len(folders) == 1
    assert len(prepared(folder, held_out=0.5).train) == 10


def test_captions_are_cached_and_regenerated_if_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captions = list(source(folder).listing.captions)
    (path,) = (folder.parent / "cache").iterdir()
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(generate_all, "generate_caption", lambda *_: pytest.fail("described again"))
        assert list(source(folder).listing.captions) == captions
    path.write_bytes(content[:50])
    assert list(source(folder).listing.captions) == captions
    assert path.read_bytes() == content
    assert list(source(folder, seed=1).listing.captions) != captions


def test_captions_of_another_version_are_regenerated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert generate_all.CACHE_VERSION is CACHE_VERSION
    for version in (CACHE_VERSION, CACHE_VERSION + 1):
        monkeypatch.setattr(generate_all, "CACHE_VERSION", version)
        assert any(source(folder).listing.captions)
    assert len(list((folder.parent / "cache").iterdir())) == 2


def test_captions_do_not_depend_on_the_other_faces(folder: Path) -> None:
    assert list(source(folder, limit=5).listing.captions) == list(source(folder).listing.captions[:5])


def table(sep: str = ",", quote: str = "", first: str = "image_id", index: str = "", values: Any = VALUES) -> str:
    """list_attr_celeba.csv in the formats of spreadsheets and pandas."""
    lines = [[first, *NAMES]] + [[name, *map(str, row)] for name, row in zip(FILES, values, strict=True)]
    return f"\r\n{index}".join(sep.join(f"{quote}{cell}{quote}" for cell in line) for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        table(quote='"'),
        table(";", '"'),
        "\ufeff" + table(";"),
        table("\t"),
        table(", "),
        table(first=""),
        table(first=",image_id", index="7,"),
        table(first="Image_ID"),
        table(values=(VALUES > 0).astype(int)),
        table(values=(VALUES > 0)),
        table(values=VALUES.astype(float)),
        table().replace(".jpg", ""),
        table().replace(".jpg", ".png"),
        table().replace("000", "img_align_celeba/000", 1),
        table().replace("\r\n000", "\r\nimg_align_celeba\\000"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_variants_of_the_table_are_equivalent(folder: Path, text: str, ending: str) -> None:
    before = source(folder).listing
    (folder / "list_attr_celeba.txt").unlink()
    (folder / f"list_attr_celeba.{ending}").write_bytes(text.encode())
    after = source(folder).listing
    assert after.attribute_names == NAMES
    assert np.array_equal(after.attributes, before.attributes)
    assert after.images.read(range(20)) == before.images.read(range(20))


@pytest.mark.parametrize(
    "text",
    [
        partition("image_id,partition\n", ",").replace("0000", '"0000').replace(".jpg", '.jpg"'),
        partition(",image_id;partition\n"[1:], ";"),
        partition("", ","),
        partition(),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "txt"])
def test_variants_of_the_partition(folder: Path, text: str, ending: str) -> None:
    (folder / f"list_eval_partition.{ending}").write_text(text)
    assert source(folder, held_out=0.5).listing.train == 18


def test_the_folder_layout_of_the_authors(folder: Path) -> None:
    before = source(folder).listing
    for name in ("Img", "Anno", "Eval"):
        (folder / name).mkdir()
    (folder / "img_align_celeba").rename(folder / "Img/img_align_celeba_png")
    (folder / "list_attr_celeba.txt").rename(folder / "Anno/list_attr_celeba.txt")
    (folder / "Eval/list_eval_partition.txt").write_text(partition(held_out=(3, 8)))
    for file in FILES:
        path = folder / "Img/img_align_celeba_png" / file
        path.rename(path.with_suffix(".png"))
    after = source(folder).listing
    assert after.train == 18
    assert np.array_equal(after.attributes[18:], before.attributes[[3, 8]])
    assert [Path(name).name for name in after.images.read(range(18, 20))] == ["000004.png", "000009.png"]


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["scandir", "stat"])
def test_a_folder_without_permission_raises(folder: Path, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    images, original_function = folder / "img_align_celeba", getattr(os, function)

    def refuse(path: Any, *args: Any, **kwargs: Any) -> Any:
        if Path(path) == images:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return original_function(path, *args, **kwargs)

    monkeypatch.setattr(os, function, refuse)
    with pytest.raises(UserError, match=rf"^{images} cannot be read \(Permission denied\): check data\.\*, .*\.$"):
        _ = source(folder, on_error="skip").listing


def test_unknown_attributes_raise_with_suggestions(folder: Path) -> None:
    with pytest.raises(UserError, match=r"has smilling, which is not in .*list_attr_celeba\.txt: choose Smiling\.$"):
        _ = source(folder, attributes=["Male", "smilling"]).listing
    with pytest.raises(UserError, match=r"has Zzz, .*: choose one of 5_o_Clock_Shadow, .*, Smiling\.$"):
        _ = source(folder, attributes=["Zzz"]).listing
    with pytest.raises(ValueError, match=r"^attributes is empty"):
        source(folder, attributes=[])


def test_a_missing_folder_raises_with_the_expected_layout(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match=r"^No such folder: .*none \(data\.folder\); expected img_align_celeba/"):
        _ = source(tmp_path / "none").listing
    (folder / "list_attr_celeba.txt").unlink()
    with pytest.raises(UserError, match=r"^No CelebA in the folder: .*celeba \(data\.folder\); expected .*\.csv\.$"):
        _ = source(folder).listing


def replaced(line: int, text: str) -> str:
    lines = original().split("\n")
    return "\n".join([*lines[: line - 1], text, *lines[line:]])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (original(count=21), r"txt, line 1, announces 21 rows, but 20 follow: download"),
        (original(count=19), r"txt, line 1, announces 19 rows, but 20 follow: download"),
        (replaced(5, "000003.jpg 1 -1"), r"txt, line 5, has 2 values for 6 attributes: download"),
        (replaced(5, "000003.jpg 1 -1 1 1 1 1 1"), r"txt, line 5, has 7 values for 6 attributes: download"),
        (replaced(5, "000003.jpg 1 -1 1 1 0 1"), r"txt, line 5, has a value other than 1 and -1: download"),
        (replaced(5, "000002.jpg 1 -1 1 1 1 1"), r"txt, line 5, repeats 000002\.jpg of line 4: download"),
        (original().replace("000004.jpg", "000004.jpg 0", 1), r"txt, line 6, has 7 values for 6 attributes: download"),
        ("20\n", r"txt has no rows: download"),
        ("", r"txt has no rows: download"),
    ],
)
def test_a_malformed_table_raises_with_the_line(folder: Path, table: str, message: str) -> None:
    (folder / "list_attr_celeba.txt").write_text(table)
    for on_error in ("raise", "skip"):
        with pytest.raises(UserError, match=message):
            _ = source(folder, on_error=on_error).listing


def test_a_row_without_an_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "img_align_celeba" / FILES[2]).unlink()
    with pytest.raises(UserError, match=r"txt, line 5, names 000003\.jpg, which is not in .*data\.on_error=skip\.$"):
        _ = source(folder).listing
    celeba = prepared(folder, on_error="skip")
    assert numbers(celeba.train) == [i for i in range(18) if i != 2]
    assert np.array_equal(celeba.train.attributes, (VALUES[[0, 1, *range(3, 18)]] > 0).astype(int))
    assert "1 rows of " in (output := capsys.readouterr().out)
    assert "have no image and are skipped: 000003.jpg.\n" in output


def test_an_image_without_a_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "list_attr_celeba.txt").write_text(original(FILES[:-2], VALUES[:-2]))
    with pytest.raises(UserError, match=r"txt has no row for the image .*000019\.jpg: .*data\.on_error=skip\.$"):
        _ = source(folder).listing
    assert numbers(prepared(folder, on_error="skip").held_out) == [16, 17]
    assert "2 images have no row in " in (output := capsys.readouterr().out)
    assert "and are skipped: 000019.jpg, 000020.jpg.\n" in output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (partition().replace("000003.jpg 0", "000003.jpg 3"), r"line 3, is not a file name followed by 0, 1 or 2"),
        (partition().replace("000003.jpg 0", "000003.jpg"), r"line 3, is not a file name followed by 0, 1 or 2"),
        (partition().replace("000003.jpg 0\n", ""), r"has no row for 000003\.jpg: .* or remove it"),
    ],
)
def test_a_malformed_partition_raises(folder: Path, text: str, message: str) -> None:
    (folder / "list_eval_partition.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        _ = source(folder).listing


def test_a_table_of_other_images_raises(folder: Path) -> None:
    (folder / "list_attr_celeba.txt").write_text(original([f"x{name}" for name in FILES]))
    with pytest.raises(UserError, match=r"celeba leaves no face to train on, of 0 in total"):
        _ = source(folder, on_error="skip").listing


@pytest.mark.parametrize("argument", ["limit", "captions_per_face"])
def test_counts_of_0_raise(folder: Path, argument: str) -> None:
    with pytest.raises(ValueError, match=rf"^{argument} must be at least 1, but is 0\.$"):
        source(folder, **{argument: 0})


@pytest.mark.skipif(REAL is None, reason="T2F_TEST_DATA is not set")
def test_real_data(tmp_path: Path) -> None:
    celeba = CelebA(f"{REAL}/celeba", cache=str(tmp_path), resolution=32, workers=1, limit=200)
    celeba.prepare()
    assert (len(celeba.train), len(celeba.held_out)) == (190, 10)
    assert len(celeba.train.attribute_names) == 40
    assert set(np.unique(celeba.train.attributes)) == {0, 1}
    assert 0.5 < celeba.train.attributes[:, celeba.train.attribute_names.index("No_Beard")].mean() < 1
    assert 60 < celeba.train.images.mean() < 180

import csv
import errno
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from t2f.data.captions.generate import generate_caption
from t2f.data.datasets.image_folder import DESCRIBED, ImageFolder
from t2f.utils.errors import UserError

TEXTS = ["a man, smiling", "una señora con gafas", "微笑的女人", "امرأة تبتسم", 'a "quoted" text\nof two lines'] * 4
FILES = [f"face {i:02} é文.png" for i in range(20)]
Row = dict[str, Any]


def rows(**columns: Any) -> list[Row]:
    """Return the rows of 20 faces. A column is one value for all rows, or a list of 20 values."""
    table = [{"file_name": file, "text": text} for file, text in zip(FILES, TEXTS, strict=True)]
    for name, values in columns.items():
        for i, row in enumerate(table):
            row[name] = values[i] if isinstance(values, list) else values
    return table


def write(folder: Path, table: list[Row], kind: str = "jsonl", encoding: str = "utf-8") -> None:
    """Write a table, and a uniformly gray image for each row."""
    folder.mkdir(parents=True, exist_ok=True)
    for row in table:
        if (folder / str(row.get("file_name"))).suffix == ".png":
            (folder / row["file_name"]).parent.mkdir(exist_ok=True)
            gray = 12 * FILES.index(Path(row["file_name"]).name)
            Image.new("L", (12, 16), gray).save(folder / row["file_name"])
    if kind == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
        (folder / "metadata.jsonl").write_text(text, encoding=encoding)
    else:
        with (folder / "metadata.csv").open("w", encoding=encoding, newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "faces", rows())
    return tmp_path / "faces"


def source(folder: Path, **settings: Any) -> ImageFolder:
    defaults: dict[str, Any] = {"cache": str(folder.parent / "cache"), "resolution": 4, "workers": 1, "held_out": 0.2}
    return ImageFolder(str(folder), **defaults | settings)


def prepared(folder: Path, **settings: Any) -> ImageFolder:
    made = source(folder, **settings)
    made.prepare()
    return made


def numbers(faces: Any) -> list[int]:
    """Return the indices of faces by their gray level."""
    return (faces.images[:, 0, 2, 2] // 12).tolist()


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_texts_of_any_script_belong_to_their_images(tmp_path: Path, kind: str, encoding: str) -> None:
    write(tmp_path / "faces", rows(), kind, encoding)
    faces = prepared(tmp_path / "faces")
    assert faces.name == "folder"
    assert faces.mirror is True
    assert sorted(numbers(faces.train) + numbers(faces.held_out)) == list(range(20))
    for some in (faces.train, faces.held_out):
        assert len(some) > 0
        assert list(some.captions) == [[TEXTS[i]] for i in numbers(some)]
        assert some.attributes.shape == (len(some), 0)
        assert some.attributes.dtype == np.int8


def test_texts_may_be_lists_empty_or_missing(tmp_path: Path) -> None:
    table = rows(text=[["a", " b "], [], None, "", " ", ["", None], *["c"] * 14])
    del table[6]["text"]
    write(tmp_path / "faces", table)
    listing = source(tmp_path / "faces").listing
    captions = dict(zip(listing.images.names, listing.captions, strict=True))  # type: ignore[attr-defined]  # of files
    assert [captions[file] for file in FILES[:8]] == [["a", "b"], [], [], [], [], [], [], ["c"]]


def test_unpaired_surrogates_are_replaced(tmp_path: Path) -> None:
    write(tmp_path / "faces", rows(text=["one", ["a TEXT face", "two"]] * 10))
    table = tmp_path / "faces" / "metadata.jsonl"
    table.write_text(table.read_text(encoding="utf-8").replace("TEXT", "\\ud83d"), encoding="utf-8")
    assert ["a \ufffd face", "two"] in source(tmp_path / "faces").listing.captions


@pytest.mark.parametrize("columns", [{"text": "a face"}, {"Smiling": 1}])
def test_invalid_file_names_are_skipped(
    folder: Path, columns: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.dumps({"file_name": file} | columns) for file in [*FILES, "a \ud83d.png", "a \0.png", "a" * 300]]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    faces = prepared(folder, on_error="skip")
    assert len(faces.train) + len(faces.held_out) == 20
    output = capsys.readouterr().out
    assert "3 of 23 images cannot be decoded and are skipped: " in output
    assert "a \ufffd.png" in output


def test_held_out_faces_remain_held_out_when_faces_are_added(folder: Path) -> None:
    all_of_them = prepared(folder)
    write(folder, rows()[:12])
    few = prepared(folder)
    assert set(numbers(few.held_out)) == {i for i in numbers(all_of_them.held_out) if i < 12}


def test_another_split_and_other_texts_use_the_same_image_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepared(folder)
    monkeypatch.setattr("t2f.data.datasets.photographs.decode_all", lambda *_: pytest.fail("decoded again"))
    half = prepared(folder, held_out=0.5)
    assert set(numbers(half.held_out)) > set(numbers(before.held_out))
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(text="new", Smiling=1)))
    after = prepared(folder)
    assert list(after.train.captions) == [["new"]] * len(before.train)
    assert list(after.train.attribute_names) == ["Smiling"]


@pytest.mark.parametrize("other", ["test", "validation"])
def test_subfolders_are_the_split(tmp_path: Path, other: str) -> None:
    write(tmp_path / "faces" / "train", rows(Smiling=[0, 1] * 10)[:12])
    write(tmp_path / "faces" / other, rows(Smiling=-1)[10:], "csv")  # the file names may be in both
    faces = prepared(tmp_path / "faces")
    assert numbers(faces.train) == list(range(12))
    assert numbers(faces.held_out) == list(range(10, 20))
    assert faces.train.attributes[:, 0].tolist() == [0, 1] * 6
    assert faces.held_out.attributes[:, 0].tolist() == [-1] * 10


def test_test_and_validation_are_held_out_or_else_a_fraction(tmp_path: Path) -> None:
    write(tmp_path / "faces" / "train", rows()[:12])
    faces = prepared(tmp_path / "faces")
    assert sorted(numbers(faces.train) + numbers(faces.held_out)) == list(range(12))
    write(tmp_path / "faces" / "test", rows()[12:15])
    write(tmp_path / "faces" / "validation", rows()[15:])
    assert numbers(prepared(tmp_path / "faces").held_out) == list(range(12, 20))


def test_images_may_be_in_subfolders(tmp_path: Path) -> None:
    write(tmp_path / "faces", rows(file_name=[f"sub/{file}" for file in FILES]))
    assert len(prepared(tmp_path / "faces").train) > 0


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_attribute_columns(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    columns: dict[str, list[Any]] = {
        "Smiling": [1, 0, -1, ""],
        "Male": [1, -1, -1, 1],
        "Hat": [True, False, None, True],
        "Young": ["true", "False", "1", "0"],
        "Pandas": [1.0, 0.0, None, 1.0],
        "age": [1, 0, 30, 1],
        "note": ["", "", "", ""],
        "place": ["Ulm", "", "", "Bonn"],
    }
    table = rows(**{name: values * 5 for name, values in columns.items()})
    write(tmp_path / "faces", table, kind)
    faces = prepared(tmp_path / "faces").train
    assert faces.attribute_names == ["Smiling", "Male", "Hat", "Young", "Pandas"]
    expected = [[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [-1, 0, -1, 1, -1], [-1, 1, 1, 0, 1]]
    assert faces.attributes.dtype == np.int8
    assert faces.attributes.tolist() == [expected[i % 4] for i in numbers(faces)]
    output = capsys.readouterr().out
    assert "These columns are neither file_name, text nor attributes: age, note, place.\n" in output


def test_captions_are_generated_from_celebas_attributes_if_there_is_no_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = rows(Male=[1, -1] * 10, Smiling=[1, 0, ""] * 6 + [1, 0], Left_Handed=[0, 1] * 10)
    for row in table:
        del row["text"]
    write(tmp_path / "faces", table, "csv")
    faces = prepared(tmp_path / "faces", captions_per_face=2, seed=5).train
    assert faces.attribute_names == ["Male", "Smiling", "Left_Handed"]
    for i, captions in zip(numbers(faces), faces.captions, strict=True):
        rng = random.Random(f"5 {FILES[i]}")
        smiling = {1: 1, 0: 0, "": -1}[table[i]["Smiling"]]
        face = {"Male": int(table[i]["Male"] == 1), "Smiling": smiling}
        assert captions == [generate_caption(face, rng).text for _ in range(2)]
    assert "has a text: captions are generated from Male, Smiling.\n" in capsys.readouterr().out


def test_no_text_and_no_attributes_prints_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "faces", rows(text=""))
    assert not any(prepared(tmp_path / "faces").train.captions)
    assert "has a text or attributes with CelebA's names: there are no captions" in capsys.readouterr().out


def test_captions_can_be_generated_from_all_of_celebas_attributes() -> None:
    assert len(DESCRIBED) == 44
    assert {"5_o_Clock_Shadow", "Wearing_Necktie", "Young", "Gray_Hair", "Male", "Sunglasses"} < DESCRIBED


# --- errors ----------------------------------------------------------------------------------------------------------


def test_a_missing_folder_or_table_raises_with_the_expected_layout(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^No such folder: .*none \(data\.folder\); expected are images beside a meta"):
        _ = source(tmp_path / "none").listing
    with pytest.raises(UserError, match=r"^No table of faces in the folder: .* \(data\.folder\); expected are images"):
        _ = source(tmp_path).listing


def test_two_tables_raise(folder: Path) -> None:
    write(folder, rows(), "csv")
    with pytest.raises(UserError, match=r"holds both metadata\.jsonl and metadata\.csv: remove one of them\.$"):
        _ = source(folder).listing


def test_several_rows_of_one_image_are_its_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = {"file_name": f"./{FILES[3]}", "text": "again"}
    write(tmp_path / "faces", [*rows(number=0), more | {"number": 1}, more | {"number": 2}])
    faces = prepared(tmp_path / "faces", held_out=0.01)
    assert dict(zip(numbers(faces.train), faces.train.captions, strict=True))[3] == [TEXTS[3], "again"]
    assert len(faces.train) + len(faces.held_out) == 20
    output = capsys.readouterr().out
    assert "2 rows repeat an image: their texts are further captions of it.\n" in output
    assert "neither file_name, text nor attributes: number.\n" in output


def test_a_column_that_numbers_texts_0_and_1_is_not_an_attribute(tmp_path: Path) -> None:
    write(tmp_path / "faces", [*rows(number=0), *rows(text="another", number=1)])
    assert prepared(tmp_path / "faces").train.attribute_names == []


def test_contradictory_rows_of_one_image_raise(tmp_path: Path) -> None:
    table = [*rows(Hat=1, Smiling=[1, ""] * 10), *rows(Hat=1, Smiling=1)]
    write(tmp_path / "faces", table)
    assert prepared(tmp_path / "faces").train.attributes.tolist() == [[1, 1]] * len(prepared(tmp_path / "faces").train)
    table[27]["Hat"] = 0
    write(tmp_path / "faces", table)
    with pytest.raises(
        UserError, match=r"line 8, and a later row of the same image have different values of Hat: correct one of"
    ):
        _ = source(tmp_path / "faces").listing


@pytest.mark.parametrize("name", ["../secret.jpg", "sub/../../secret.jpg", "/etc/secret.jpg"])
def test_names_outside_of_the_folder_raise(folder: Path, name: str) -> None:
    with (folder / "metadata.jsonl").open("a") as file:
        file.write(json.dumps({"file_name": name}))
    with pytest.raises(UserError, match=rf"jsonl, line 21, names {name}, which is outside of .*: move the image"):
        _ = source(folder, on_error="skip").listing


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"file_name": ', r"jsonl, line 21, is not JSON \(.*\): correct that line"),
        ('["a.png"]', r"jsonl, line 21, is not a JSON object: correct"),
        ('{"text": "a"}', r"jsonl, line 21, has no file_name: write the file name of the image"),
        ('{"file_name": ""}', r"jsonl, line 21, has no file_name"),
        ('{"file_name": [3]}', r"jsonl, line 21, has no file_name"),
        ('{"file_name": 3}', r"jsonl, line 21, names 3, which is not in"),
        (
            '{"file_name": "a.png", "text": 3}',
            r"jsonl, line 21, has a text that is neither a string nor a list of",
        ),
        (
            '{"file_name": "a.png", "text": ["a", {}]}',
            r"jsonl, line 21, has a text that is neither a string nor a list of",
        ),
    ],
)
def test_malformed_json_lines_raise(folder: Path, line: str, message: str) -> None:
    with (folder / "metadata.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=message):
        _ = source(folder).listing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"csv, line 1, names no column file_name; expected"),
        ("who,text\nAnn,b\n", r"csv, line 1, names no column file_name but who, text; expected"),
        ("file_name,text\n", r"csv lists no images; expected"),
        (
            "file_name,text\na.png,a man, smiling\n",
            r"csv, line 2, has 3 values for 2 columns: put a text with commas in",
        ),
        ("file_name,text\na.png\n", r"csv, line 2, has 1 values for 2 columns"),
        ('file_name,text\na.png,"a man\n', r"csv, line 2, is not CSV \(.*\): correct that line"),
    ],
)
def test_malformed_csv_raises(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        _ = source(tmp_path).listing


def test_a_missing_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / FILES[3]).unlink()
    with pytest.raises(UserError, match=rf"jsonl, line 4, names {FILES[3]}, which is not in .*data\.on_error=skip\.$"):
        _ = source(folder).listing
    faces = prepared(folder, on_error="skip")
    assert len(faces.train) + len(faces.held_out) == 19
    assert f"1 of 20 images cannot be decoded and are skipped: {folder / FILES[3]} (it does not exist).\n" in (
        capsys.readouterr().out
    )


def test_a_name_that_is_too_long_raises(folder: Path) -> None:
    with (folder / "metadata.jsonl").open("a") as file:
        file.write(json.dumps({"file_name": "a" * 300, "text": "b"}))
    with pytest.raises(UserError, match=r"jsonl, line 21, names a{300}, which is not in .*: add the image or remove"):
        _ = source(folder).listing


def test_a_folder_without_permission_raises(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(UserError, match=r"metadata\.jsonl cannot be read \(Permission denied\): check data\.\*, "):
        _ = source(folder).listing


def test_captions_per_face_of_0_raises(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"^captions_per_face must be at least 1, but is 0\.$"):
        source(folder, captions_per_face=0)

from pathlib import Path
from typing import Any

import pytest
from data.datasets.test_image_folder import FILES, numbers, prepared, rows, source, write

from t2f.utils.errors import UserError


def captions(folder: Path, **settings: Any) -> dict[str, list[str]]:
    """Return the captions of each image by its file name."""
    listing = source(folder, **settings).listing
    return dict(zip(listing.images.names, listing.captions, strict=True))  # type: ignore[attr-defined]  # of files


def with_table(folder: Path, name: str, header: str, row: str, files: list[str] = FILES, below: str = "") -> Path:
    """Write 20 images and a table with a row for each."""
    write(folder / below, rows())
    (folder / below / "metadata.jsonl").unlink()
    lines = [row.format(file=file, number=i) for i, file in enumerate(files)]
    (folder / name).write_text("\n".join([header, *lines]), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "column", ["caption", "Captions", "prompt", "Description", "sentences", "comment", "IMAGE_CAPTION"]
)
@pytest.mark.parametrize("name", ["file_name", "image", "File Name", "filename", "img", "path", "image_id", "Bild"])
def test_columns_with_other_names_are_used_with_a_note(
    tmp_path: Path, name: str, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_table(tmp_path / "faces", "metadata.csv", f"{name},{column},place", "{file},a face {number},Ulm")
    assert captions(folder) == {file: [f"a face {i}"] for i, file in enumerate(FILES)}
    assert prepared(folder).train.attribute_names == []
    output = capsys.readouterr().out
    assert f"The texts are taken from the column {column} of {folder}/metadata.csv.\n" in output
    assert (f"The file names are taken from the column {name} of {folder}" in output) == (name != "file_name")


def test_a_column_of_sentences_is_found_by_its_content(tmp_path: Path) -> None:
    header, row = (
        "file_name;Beschreibung;Ort;Lizenz",
        "{file};ein Mann mit Bart {number};Neu Ulm {number};frei für alle Zwecke",
    )
    folder = with_table(tmp_path / "faces", "metadata.csv", header, row)
    assert captions(folder)[FILES[3]] == ["ein Mann mit Bart 3"]


def test_several_candidate_columns_are_an_error(tmp_path: Path) -> None:
    header, row = "image,path,caption,description", "{file},{file},short {number},long {number}"
    folder = with_table(tmp_path / "faces", "metadata.csv", header, row)
    with pytest.raises(UserError, match=r"no column file_name, but image and path: choose one with data\.file_name\.$"):
        captions(folder)
    with pytest.raises(UserError, match=r"no column text, but caption and description: choose one with data\.text\.$"):
        captions(folder, file_name="path")
    assert captions(folder, file_name="path", text="description")[FILES[2]] == ["long 2"]
    for key, others in (("file_name", "image, path, caption, description"), ("text", "path, caption, description")):
        chosen = {"file_name": "image"} | {key: "nope"}
        with pytest.raises(UserError, match=rf"has no column nope: set data\.{key} to one of {others}\.$"):
            captions(folder, **chosen)


def test_numbered_text_columns_are_combined(tmp_path: Path) -> None:
    folder = with_table(tmp_path / "faces", "metadata.csv", "file_name,caption_1,caption_2", "{file},one {number},two")
    assert captions(folder)[FILES[7]] == ["one 7", "two"]


@pytest.mark.parametrize("column", ["captions", "prompt", "Text"])
@pytest.mark.parametrize("value", [{"en": "a man"}, [{"text": "a man"}]], ids=["object", "list of objects"])
def test_nested_texts_are_an_error(tmp_path: Path, column: str, value: Any) -> None:
    write(tmp_path, [{"file_name": file, column: value} for file in FILES])
    with pytest.raises(UserError, match=r"jsonl, line 1, has a text that is neither a string nor a list of strings"):
        captions(tmp_path)


@pytest.mark.parametrize("empty", ["", "NaN", "nan", "None", "NULL", " "])
def test_missing_values_of_pandas_are_not_texts(tmp_path: Path, empty: str) -> None:
    folder = with_table(tmp_path / "faces", "metadata.csv", "file_name,text,Smiling", "{file}," + empty + ",1")
    assert set(map(tuple, captions(folder, captions_per_face=1).values())) != {(empty,)}


def test_a_list_in_csv_as_pandas_writes_it(tmp_path: Path) -> None:
    row = """{file},"['a man', ""it's him""]\""""
    assert captions(with_table(tmp_path / "faces", "metadata.csv", "file_name,text", row))[FILES[0]] == [
        "a man",
        "it's him",
    ]
    assert captions(with_table(tmp_path / "other", "metadata.csv", "file_name,text", "{file},[a man]"))[FILES[0]] == [
        "[a man]"
    ]


def test_attributes_in_words_and_decimals(tmp_path: Path) -> None:
    table = rows(A=["yes", "No", "", "Y"] * 5, B=["TRUE", "FALSE", "NaN", "t"] * 5, C=["1,0", "0,0", "?", "1.00"] * 5)
    write(tmp_path / "faces", table, "csv")
    faces = prepared(tmp_path / "faces").train
    assert faces.attribute_names == ["A", "B", "C"]
    assert faces.attributes.tolist() == [[[1] * 3, [0] * 3, [-1] * 3, [1] * 3][i % 4] for i in numbers(faces)]


@pytest.mark.parametrize("name", ["captions.csv", "labels.tsv", "captions.txt", "metadata.ndjson"])
@pytest.mark.parametrize("below", ["", "images"])
def test_a_table_with_another_name_beside_or_above_the_images(tmp_path: Path, name: str, below: str) -> None:
    header, row = "image\tcaption", "{file}\ta face {number}"
    if name.endswith("json"):
        header, row = "", '{{"image": "{file}", "caption": "a face {number}"}}'
    folder = with_table(tmp_path / "faces", name, header, row, below=below)
    assert captions(folder) == {str(Path(below) / file): [f"a face {i}"] for i, file in enumerate(FILES)}


def test_a_table_in_the_parent_folder_is_suggested(tmp_path: Path) -> None:
    folder = with_table(tmp_path / "faces", "captions.csv", "image,caption", "{file},a face", below="images")
    with pytest.raises(UserError, match=rf"captions\.csv is in its parent folder: set data\.folder={folder}; expected"):
        captions(folder / "images")
    (folder / "b.csv").write_text("x,y\n")
    with pytest.raises(UserError, match=r"^No table of faces in the folder: .*images \(data\.folder\); expected are"):
        captions(folder / "images")


def test_a_spreadsheet_is_an_error_that_suggests_csv(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/metadata.xlsx").touch()
    with pytest.raises(UserError, match=r"and metadata\.xlsx cannot be read: save it as CSV UTF-8; expected are"):
        captions(tmp_path / "faces")


def test_two_tables_are_an_error(tmp_path: Path) -> None:
    folder = with_table(tmp_path / "faces", "a.csv", "image,caption", "{file},a face")
    (folder / "b.csv").write_text("x,y\n")
    with pytest.raises(
        UserError, match=r"holds a\.csv and b\.csv: rename the one that describes the images to metadata"
    ):
        captions(folder)


@pytest.mark.parametrize("parts", [[""], ["train", "test"]])
@pytest.mark.parametrize(("texts", "pictures"), [(".", "."), ("text", "images")])
def test_a_text_file_for_each_image(tmp_path: Path, parts: list[str], texts: str, pictures: str) -> None:
    folder = tmp_path / "faces"
    for part in parts:
        write(folder / part / pictures, rows())
        (folder / part / pictures / "metadata.jsonl").unlink()
        (folder / part / texts).mkdir(exist_ok=True)
        for i, file in enumerate(FILES):
            (folder / part / texts / file).with_suffix(".txt").write_text(f"a face {i}\n\nof {part}\n")
    (folder / "README.txt").write_text("not of a picture")
    expected = {
        str(Path(part, pictures, FILES[i])): [f"a face {i}", f"of {part}".strip()] for part in parts for i in range(20)
    }
    assert captions(folder) == expected


def test_captions_that_look_like_a_header_are_captions(tmp_path: Path) -> None:
    write(tmp_path / "faces", rows())
    (tmp_path / "faces/metadata.jsonl").unlink()
    for file in FILES:
        (tmp_path / "faces" / file).with_suffix(".txt").write_text("photo, a man, text\n")
    assert captions(tmp_path / "faces") == {file: ["photo, a man, text"] for file in FILES}


def test_images_without_a_text_file_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = with_table(tmp_path / "faces", "x.csv", "", "")
    (folder / "x.csv").unlink()
    for file in FILES[:12]:
        (folder / file).with_suffix(".txt").write_text("a face")
    prepared(folder)
    assert "8 images in " in (output := capsys.readouterr().out)
    assert "the texts are read from 12 files" in output
    (folder / FILES[2]).unlink()
    with pytest.raises(UserError, match=r"02 é文\.txt names face 02 é文, which is not in .*data\.on_error=skip\.$"):
        captions(folder)


@pytest.mark.parametrize(
    "row", [r".\{file}", r"C:\Users\Ann\{file}", "train/{file}", "/home/ann/faces/{file}", " {file} ", "FACES/{file}"]
)
def test_names_in_another_spelling(tmp_path: Path, row: str) -> None:
    folder = with_table(tmp_path / "faces", "metadata.csv", "file_name,text", row + ",a face {number}")
    assert captions(folder) == {file: [f"a face {i}"] for i, file in enumerate(FILES)}
    (folder / FILES[4]).unlink()
    with pytest.raises(UserError, match=r"csv, line 6, names .*, which is not in .* \(did you mean face .*\?\): add"):
        captions(folder)
    assert len(prepared(folder, on_error="skip").train) + len(prepared(folder, on_error="skip").held_out) == 19


def test_names_in_a_subfolder_may_start_with_it(tmp_path: Path) -> None:
    for part in ("train", "test"):
        with_table(tmp_path / "faces", f"{part}/metadata.csv", "file_name,text", part + "/{file}," + part, below=part)
    assert captions(tmp_path / "faces") == {f"{part}/{file}": [part] for part in ("train", "test") for file in FILES}

import json
from pathlib import Path
from typing import Any

import pytest

from t2f.data.tables.read import read_csv, read_table, read_text
from t2f.utils.errors import UserError

FILES = ["0.png", "1.png"]
TEXTS = ["a man, with a beard", "a smiling woman"]
ROWS = [{"file_name": file, "text": text} for file, text in zip(FILES, TEXTS, strict=True)]


def read(tmp_path: Path, name: str, content: str | bytes, chosen: str | None = None) -> list[dict[str, Any]]:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return [columns for _, columns in read_table(tmp_path / name, chosen, "expected is a table")]


PLAIN = 'file_name,text\n0.png,"a man, with a beard"\n1.png,a smiling woman\n'


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        "sep=,\n" + PLAIN,
        "\n# made by hand\n" + PLAIN.replace("1.png", "\n# 2.png,a bald man\n,,\n1.png") + ",,\n",
        "#" + PLAIN,
        "# " + PLAIN,
        "file_name;text\n0.png;a man, with a beard\n1.png;a smiling woman\n",
        "sep=;\r\nfile_name;text\r\n0.png;a man, with a beard\r\n1.png;a smiling woman\r\n;\r\n",
        "file_name\ttext\n0.png\ta man, with a beard\n1.png\ta smiling woman\n",
        "file_name|text\n0.png|a man, with a beard\n1.png|a smiling woman\n",
        'file_name, text\n0.png, "a man, with a beard"\n1.png, a smiling woman\n',
        ' file_name , "text" \n0.png, "a man, with a beard"\n1.png,"a smiling woman"\n',
        '"file_name" , "text"\n"0.png" , "a man, with a beard" \n"1.png" , "a smiling woman"\n',
        "'file_name','text'\n'0.png','a man, with a beard'\n'1.png','a smiling woman'\n",
        ',file_name,text\n0,0.png,"a man, with a beard"\n1,1.png,a smiling woman\n',
        'Unnamed: 0,file_name,text\n0,0.png,"a man, with a beard"\n1,1.png,a smiling woman\n',
        'Unnamed: 0.1,Unnamed: 0,file_name,text\n0,0,0.png,"a man, with a beard"\n1,1,1.png,a smiling woman\n',
        '"file_name","text"\n"1","0.png","a man, with a beard"\n"2","1.png","a smiling woman"\n',  # from R
        'file_name,text,\n0.png,"a man, with a beard",\n1.png,a smiling woman,\n',
        'file_name,text\n0.png,"a man, with a beard",,\n1.png,a smiling woman,,\n',
    ],
)
def test_variants_of_csv(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "metadata.csv", text) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = 'file_name\ttext\n0.png\t"señora, 微笑"\n'
    assert read(tmp_path, "metadata.csv", text.encode(encoding)) == [{"file_name": "0.png", "text": "señora, 微笑"}]


def test_quotes_in_a_table_with_tabs_may_be_ordinary_characters(tmp_path: Path) -> None:
    text = '"big" nose, 5" tall'
    assert read(tmp_path, "metadata.tsv", f"file_name\ttext\n0.png\t{text}\n")[0]["text"] == text


def test_texts_may_contain_line_ends_and_quotes(tmp_path: Path) -> None:
    text = 'file_name,text\n0.png,"one ""man"" ,\ntwo"\n1.png,5" tall\n'
    assert [row["text"] for row in read(tmp_path, "metadata.csv", text)] == ['one "man" ,\ntwo', '5" tall']


def test_the_delimiter_is_inferred_from_the_column_of_file_names(tmp_path: Path) -> None:
    header = "my file;text, short or long\n0.png;a man, bald\n"
    assert read(tmp_path, "metadata.csv", header, "my file") == [
        {"my file": "0.png", "text, short or long": "a man, bald"}
    ]
    assert list(read(tmp_path, "metadata.csv", "Bild;Text\n0.png;eins\n")[0]) == ["Bild", "Text"]


def test_column_names_may_contain_commas_and_quotes(tmp_path: Path) -> None:
    table = 'file_name,text,"black, or brown",it\'s,"a ""b"""\n0.png,a man,1,0,1\n'
    assert list(read(tmp_path, "metadata.csv", table)[0]) == ["file_name", "text", "black, or brown", "it's", 'a "b"']
    table = "'Bild','Text, kurz'\n'0.png','ein Mann, kahl'\n"
    assert read(tmp_path, "metadata.csv", table) == [{"Bild": "0.png", "Text, kurz": "ein Mann, kahl"}]


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_text_may_be_long(tmp_path: Path, quote: str) -> None:
    text = "a man " * 50_000
    assert read(tmp_path, "metadata.csv", f"file_name,text\n0.png,{quote}{text}{quote}\n")[0]["text"] == text


def test_line_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text('\nsep=,\nfile_name,text\n0.png,"a\nb"\n\n1.png,c\n')
    table = read_table(tmp_path / "metadata.csv", None, "")
    assert [where.rpartition("csv, ")[2] for where, _ in table] == ["line 5,", "line 7,"]
    columns, rows = read_csv(tmp_path / "metadata.csv")
    assert (columns, list(rows)) == (["file_name", "text"], [(5, ["0.png", "a\nb"]), (7, ["1.png", "c"])])


LIST = json.dumps(ROWS, indent=1)
LINES = "".join(json.dumps(row) + "\n\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.jsonl", LINES),
        ("metadata.ndjson", LINES.replace("\n", "\r\n")),
        ("metadata.json", LINES),
        ("metadata.json", LIST),
        ("metadata.jsonl", LIST),
        ("metadata.json", json.dumps({"version": 1, "data": ROWS})),
        ("metadata.json", json.dumps(dict(zip(FILES, TEXTS, strict=True)), indent=1)),
        ("metadata.json", json.dumps({file: {"text": text} for file, text in zip(FILES, TEXTS, strict=True)})),
        ("metadata.json", json.dumps({"file_name": FILES, "text": TEXTS})),
        ("metadata.json", json.dumps({"file_name": dict(enumerate(FILES)), "text": dict(enumerate(TEXTS))})),
    ],
)
def test_variants_of_json(tmp_path: Path, name: str, text: str) -> None:
    assert read(tmp_path, name, text) == ROWS
    assert read(tmp_path, name, text.encode("utf-16")) == ROWS


def test_one_object_is_one_row(tmp_path: Path) -> None:
    assert read(tmp_path, "metadata.jsonl", json.dumps(ROWS[0])) == ROWS[:1]


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", r"a\.csv, line 1, names no column file_name; expected is a table\.$"),
        (
            "a.csv",
            "0.png,a man\n1.png,b\n",
            r"starts with 0\.png instead of column names: write file_name",
        ),
        ("a.csv", "file_name,text,text\n", r"a\.csv has two columns text: give them different names\.$"),
        ("a.csv", "file_name;text\n0.png;a;b\n", r"line 2, has 3 values for 2 columns: put a text with semicolons in"),
        (
            "a.csv",
            'file_name,text\n0.png,"a\n1.png,b\n',
            r"line 3, is not CSV \(unexpected end of data\): correct that line",
        ),
        ("a.csv", "version https://git-lfs.github.com/spec/v1\n", r"a\.csv is not a table but a Git LFS pointer"),
        ("a.csv", "<!DOCTYPE html>", r"a\.csv is not a table but an HTML page"),
        ("a.csv", b"PK\3\4\0\0", r"a\.csv is not a table but a ZIP archive or an Office document\.$"),
        ("a.json", '[{"file_name": "0.png",\n', r"a\.json is not JSON \(.*line 2.*\): correct it; expected is a table"),
        ("a.json", "3", r"a\.json is not a list of objects; expected"),
        (
            "a.json",
            '{"images": [{"id": 1}], "annotations": [{"id": 1}]}',
            r"a\.json is not a list of objects; expected",
        ),
        (
            "a.json",
            '[{"file_name": "0.png"}, 3]',
            r"a\.json, entry 2, is not a JSON object: correct that entry; expected",
        ),
    ],
)
def test_invalid_tables_are_errors(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, name, content)


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes("señor".encode("latin-1"))
    with pytest.raises(UserError, match=r"table\.csv is not UTF-8 text .*: save it as UTF-8\.$"):
        read_text(tmp_path / "table.csv")
    with pytest.raises(UserError, match=r"none\.csv cannot be read"):
        read_text(tmp_path / "none.csv")

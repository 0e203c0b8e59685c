"""The rows that a folder of pictures gives of them: those of its table, or a text file beside each picture."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from t2f.data.datasets.photographs import first_few
from t2f.data.images.formats import IMAGE_EXTENSIONS
from t2f.data.tables.columns import file_column, is_missing, names_files, text_columns
from t2f.data.tables.file_names import files_below
from t2f.data.tables.read import ENDINGS, read_csv, read_table, read_text
from t2f.utils.errors import UserError, require
from t2f.utils.unicode import well_formed

METADATA = tuple(f"metadata{ending}" for ending in ENDINGS)
BESIDE = (".txt", ".caption")
OTHERS = (".parquet", ".xlsx", ".xls", ".ods")
ABOUT = re.compile(r"(readme|licen[cs]e|notice|changelog|requirements)", re.IGNORECASE)
LAYOUT = "expected are pictures beside a metadata.jsonl or metadata.csv that gives the file_name and text of each"


@dataclass(frozen=True)
class Row:
    """What is said of a picture: where, under which name, its texts, and the other values by their column."""

    where: str
    name: str
    captions: list[str]
    columns: dict[str, Any]


def find_table(folder: Path, metadata_only: bool = False) -> Path | None:
    """The table of a folder: its metadata, or the only other one that there is."""
    tables = [folder / name for name in METADATA if (folder / name).is_file()]
    names = " and ".join(path.name for path in tables)
    require(len(tables) < 2, f"{folder} holds both {names}: remove one of them.")
    if tables or metadata_only or not folder.is_dir():
        return tables[0] if tables else None
    files = sorted(path for path in folder.iterdir() if path.name[0] != "." and path.is_file())
    tables = [path for path in files if path.suffix.lower() in ENDINGS]
    if not tables:  # a text that lies beside its picture may start with "photo, a man", too
        pictures = {path.stem for path in files if path.suffix.lower() in IMAGE_EXTENSIONS}
        texts = [path for path in files if path.suffix.lower() == ".txt" and path.stem not in pictures]
        tables = [path for path in texts[:5] if _has_header(path)]
    names = " and ".join(path.name for path in tables)
    require(len(tables) < 2, f"{folder} holds {names}: name the one that describes the pictures metadata.*.")
    return tables[0] if tables else None


def has_rows(folder: Path, metadata_only: bool = False) -> bool:
    """Whether a folder has a table, or else text files, of its own."""
    if find_table(folder, metadata_only) is not None:
        return True
    return not metadata_only and any(file.lower().endswith(BESIDE) for file in files_below(folder))


def _has_header(path: Path) -> bool:
    """Whether a text file is a table."""
    try:
        columns, _ = read_csv(path)
    except UserError:
        return False
    return len(columns) > 1 and any(map(names_files, columns))


def read_rows(folder: Path, file_name: str | None, text: str | None, source: Path) -> tuple[list[Row], bool, list[str]]:
    """The rows of a folder; whether they are text files apart from the pictures; and sentences for the terminal.

    `file_name` and `text` are the columns that the user chose, `source` the folder that the user named.
    """
    path = find_table(folder)
    if path is None:
        rows, apart, notes = _read_beside(folder)
        if rows:
            return rows, apart, notes
        raise UserError(f"{_nothing(source)}; {LAYOUT}.")
    rows, notes = _read_table(path, file_name, text)
    require(len(rows) > 0, f"{path} lists no pictures; {LAYOUT}.")
    return rows, False, notes


def _nothing(source: Path) -> str:
    """What to say of a folder without a table."""
    if not source.is_dir():
        return f"No such folder: {source} (data.folder)"
    sentence = f"No table of faces in the folder: {source} (data.folder)"
    endings = {path.suffix.lower(): path.name for path in sorted(source.iterdir(), reverse=True)}
    if other := next((endings[ending] for ending in OTHERS if ending in endings), None):
        return f"{sentence}, and {other} cannot be read: save it as CSV UTF-8"
    try:
        above = find_table(source.parent) if endings.keys() & {*IMAGE_EXTENSIONS} else None
    except UserError:
        above = None
    return f"{sentence}; {above} is above it, which data.folder={source.parent} takes" if above else sentence


def _read_table(path: Path, file_name: str | None, text: str | None) -> tuple[list[Row], list[str]]:
    table = read_table(path, file_name, LAYOUT)
    names = dict.fromkeys(name for _, columns in table for name in columns)
    values = {name: [columns.get(name) for _, columns in table] for name in names}
    if not table:
        return [], []
    key, file_note = file_column(values, file_name, str(path))
    if key is None and path.suffix.lower() not in (".jsonl", ".ndjson"):
        raise UserError(f"{path}, line 1, names no column file_name but {', '.join(values)}; {LAYOUT}.")
    texts, text_note = text_columns({name: values[name] for name in values if name != key}, text, str(path))
    rows = []
    for where, columns in table:
        name = columns.get(key or "file_name")
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"{where} has no file_name: name the picture there, relative to {path.parent}.")
        captions = [caption for column in texts for caption in _captions(columns.get(column), where)]
        others = {column: value for column, value in columns.items() if column != key and column not in texts}
        rows.append(Row(where, name, captions, others))
    return rows, [note for note in (file_note, text_note) if note]


def _captions(text: Any, where: str) -> list[str]:
    if isinstance(text, str) and re.fullmatch(r"\s*\[.*\]\s*", text, re.DOTALL):  # a list, as pandas writes it in CSV
        text = _literal(text)
    texts = text if isinstance(text, list) else [text]
    if not all(isinstance(text, str) or is_missing(text) for text in texts):
        raise UserError(f"{where} has a text that is no text: write a sentence or a list of sentences.")
    return [well_formed(text.strip()) for text in texts if not is_missing(text)]


def _literal(text: str) -> Any:
    """The list of texts that a text is the Python or JSON of; else the text."""
    try:
        content = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return content if all(isinstance(item, str | None) for item in content) else text


def _read_beside(folder: Path) -> tuple[list[Row], bool, list[str]]:
    """A row for each text file, a sentence a line; where no picture lies beside one of them, they lie apart."""
    files = files_below(folder)
    texts = [file for file in files if file.lower().endswith(BESIDE) and not ABOUT.match(PurePosixPath(file).name)]
    rows = []
    for file in texts:
        lines = [well_formed(line.strip()) for line in read_text(folder / file).split("\n")]
        name = str(PurePosixPath(file).with_suffix(""))
        rows.append(Row(f"{folder / file}", name, [line for line in lines if line], {}))
    if not rows:
        return [], False, []
    others = {str(PurePosixPath(file).parent) for file in files if file not in set(texts)}
    apart = not others & {str(PurePosixPath(file).parent) for file in texts}
    notes = [f"There is no table in {folder}: the texts are those of {len(rows):,} files, as {first_few(texts)}."]
    if (more := sum(file.lower().endswith(IMAGE_EXTENSIONS) for file in files) - len(rows)) > 0:
        notes.append(f"{more:,} pictures in {folder} have no such file and are left out.")
    return rows, apart, notes

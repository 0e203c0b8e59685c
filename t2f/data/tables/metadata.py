"""Reads the captions and attributes of a folder of images from a table, or from a text file beside each image."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from t2f.data.images.formats import IMAGE_EXTENSIONS
from t2f.data.tables.columns import file_column, is_file_column, is_missing, text_columns
from t2f.data.tables.file_names import files_below, first_few
from t2f.data.tables.read import ENDINGS, read_csv, read_table, read_text
from t2f.utils.errors import UserError, require
from t2f.utils.unicode import well_formed

METADATA = tuple(f"metadata{ending}" for ending in ENDINGS)
TEXT_ENDINGS = (".txt", ".caption")
UNSUPPORTED = (".parquet", ".xlsx", ".xls", ".ods")
NOT_A_CAPTION = re.compile(r"(readme|licen[cs]e|notice|changelog|requirements)", re.IGNORECASE)
LAYOUT = "expected are images beside a metadata.jsonl or metadata.csv that gives the file_name and text of each"


@dataclass(frozen=True)
class Row:
    """The row of an image.

    Attributes:
        location: The position of the row, for messages, such as "metadata.csv, line 3,".
        name: The file name as the row spells it.
        captions: Captions.
        columns: The values of all other columns.
    """

    location: str
    name: str
    captions: list[str]
    columns: dict[str, Any]


def find_table(folder: Path, metadata_only: bool = False) -> Path | None:
    """Return the metadata table of a folder, or else its only table unless `metadata_only`; None if there is none.

    Raises:
        UserError: There are several tables.
    """
    tables = [folder / name for name in METADATA if (folder / name).is_file()]
    names = " and ".join(path.name for path in tables)
    require(len(tables) < 2, f"{folder} holds both {names}: remove one of them.")
    if tables or metadata_only or not folder.is_dir():
        return tables[0] if tables else None
    files = sorted(path for path in folder.iterdir() if path.name[0] != "." and path.is_file())
    tables = [path for path in files if path.suffix.lower() in ENDINGS]
    if not tables:  # a caption beside its image may look like a header: "photo, a man"
        image_names = {path.stem for path in files if path.suffix.lower() in IMAGE_EXTENSIONS}
        texts = [path for path in files if path.suffix.lower() == ".txt" and path.stem not in image_names]
        tables = [path for path in texts[:5] if _has_header(path)]
    names = " and ".join(path.name for path in tables)
    require(len(tables) < 2, f"{folder} holds {names}: rename the one that describes the images to metadata.*.")
    return tables[0] if tables else None


def has_rows(folder: Path, metadata_only: bool = False) -> bool:
    """Whether a folder contains a table or text files with captions."""
    if find_table(folder, metadata_only) is not None:
        return True
    return not metadata_only and any(file.lower().endswith(TEXT_ENDINGS) for file in files_below(folder))


def _has_header(path: Path) -> bool:
    """Whether a text file starts with the header of a table."""
    try:
        columns, _ = read_csv(path)
    except UserError:
        return False
    return len(columns) > 1 and any(map(is_file_column, columns))


def read_rows(folder: Path, file_name: str | None, text: str | None, source: Path) -> tuple[list[Row], bool, list[str]]:
    """Read the rows of a folder.

    `file_name` and `text` are the columns that the user set, `source` is the folder that messages name.

    Returns:
        The rows, whether they are text files in other folders than the images, and notes for the terminal.

    Raises:
        UserError: There is no table, or it cannot be read.
    """
    path = find_table(folder)
    if path is None:
        rows, apart, notes = _read_text_files(folder)
        if rows:
            return rows, apart, notes
        raise UserError(f"{_no_table(source)}; {LAYOUT}.")
    rows, notes = _read_table(path, file_name, text)
    require(len(rows) > 0, f"{path} lists no images; {LAYOUT}.")
    return rows, False, notes


def _no_table(source: Path) -> str:
    """Describe what is wrong with a folder without a table."""
    if not source.is_dir():
        return f"No such folder: {source} (data.folder)"
    sentence = f"No table of faces in the folder: {source} (data.folder)"
    endings = {path.suffix.lower(): path.name for path in sorted(source.iterdir(), reverse=True)}
    if other := next((endings[ending] for ending in UNSUPPORTED if ending in endings), None):
        return f"{sentence}, and {other} cannot be read: save it as CSV UTF-8"
    try:
        above = find_table(source.parent) if endings.keys() & {*IMAGE_EXTENSIONS} else None
    except UserError:
        above = None
    return f"{sentence}; {above} is in its parent folder: set data.folder={source.parent}" if above else sentence


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
    for location, columns in table:
        name = columns.get(key or "file_name")
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name.strip():
            raise UserError(
                f"{location} has no file_name: write the file name of the image there, relative to {path.parent}."
            )
        captions = [caption for column in texts for caption in _captions(columns.get(column), location)]
        others = {column: value for column, value in columns.items() if column != key and column not in texts}
        rows.append(Row(location, name, captions, others))
    return rows, [note for note in (file_note, text_note) if note]


def _captions(text: Any, location: str) -> list[str]:
    if isinstance(text, str) and re.fullmatch(
        r"\s*\[.*\]\s*", text, re.DOTALL
    ):  # pandas writes a list to CSV like this
        text = _literal(text)
    texts = text if isinstance(text, list) else [text]
    if not all(isinstance(text, str) or is_missing(text) for text in texts):
        raise UserError(
            f"{location} has a text that is neither a string nor a list of strings: write a sentence or "
            "a list of sentences."
        )
    return [well_formed(text.strip()) for text in texts if not is_missing(text)]


def _literal(text: str) -> Any:
    """Parse a Python or JSON list of texts; return the text itself if it is not one."""
    try:
        content = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return content if all(isinstance(item, str | None) for item in content) else text


def _read_text_files(folder: Path) -> tuple[list[Row], bool, list[str]]:
    """Read a row from each text file, with one caption a line.

    Returns:
        The rows, whether no text file is in a folder with images, and notes for the terminal.
    """
    files = files_below(folder)
    texts = [
        file
        for file in files
        if file.lower().endswith(TEXT_ENDINGS) and not NOT_A_CAPTION.match(PurePosixPath(file).name)
    ]
    rows = []
    for file in texts:
        lines = [well_formed(line.strip()) for line in read_text(folder / file).split("\n")]
        name = str(PurePosixPath(file).with_suffix(""))
        rows.append(Row(f"{folder / file}", name, [line for line in lines if line], {}))
    if not rows:
        return [], False, []
    others = {str(PurePosixPath(file).parent) for file in files if file not in set(texts)}
    apart = not others & {str(PurePosixPath(file).parent) for file in texts}
    notes = [f"There is no table in {folder}: the texts are read from {len(rows):,} files, such as {first_few(texts)}."]
    if (more := sum(file.lower().endswith(IMAGE_EXTENSIONS) for file in files) - len(rows)) > 0:
        notes.append(f"{more:,} images in {folder} have no text file and are left out.")
    return rows, apart, notes

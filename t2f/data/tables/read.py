"""Reads tables in CSV and JSON.

CSV may have commas, semicolons, tabs or bars, as spreadsheets and pandas write it. JSON may be lines, a list, or an
object by image or by column. The encoding may be UTF-8, UTF-16 or UTF-32.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from t2f.data.images.formats import HEADER_BYTES, IMAGE_EXTENSIONS, identify_unsupported
from t2f.data.tables.columns import is_file_column
from t2f.utils.errors import UserError, require

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
QUOTES = "\"'"
INVISIBLE = "\ufeff\u200b"
MAX_FIELD_SIZE = 2**31 - 1  # the largest limit that csv accepts on every system

TableRow = tuple[str, dict[str, Any]]
"""The position of a row, such as "metadata.csv, line 3,", and its values by column."""


def read_text(path: Path) -> str:
    """Read a UTF-8, UTF-16 or UTF-32 file, without its byte order mark and with line feeds as line ends.

    Raises:
        UserError: The file cannot be read, is not text, or has another encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): check data.* and the permissions of that file."
        ) from error
    what = (
        None
        if content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
        else identify_unsupported(content[:HEADER_BYTES])
    )
    require(what is None, f"{path} is not a table but {what}.")
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}; Excel writes it as CSV UTF-8): "
            "save it as UTF-8."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # before UTF-16, whose mark is a prefix of it
        return "utf-32"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content[1:2] == b"\0" != content[:1]:
        return "utf-16-le"
    return "utf-16-be" if content[:1] == b"\0" != content[1:2] else "utf-8-sig"


def read_table(path: Path, chosen: str | None, layout: str) -> list[TableRow]:
    """Read the rows of a table, in JSON or CSV by its ending.

    `chosen` is the column of file names that the user set, `layout` a clause for messages on the expected layout.

    Raises:
        UserError: The table cannot be read.
    """
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return list(_json_rows(path, chosen, layout))
    columns, rows = read_csv(path, chosen)
    require(len(columns) > 0, f"{path}, line 1, names no column file_name; {layout}.")
    image = next((name for name in columns if name != chosen and name.lower().endswith(IMAGE_EXTENSIONS)), None)
    require(
        image is None,
        f"{path} starts with {image} instead of column names: write file_name, text above it.",
    )
    twice = next((name for name in columns if columns.count(name) > 1 and not _is_index(name)), None)
    require(twice is None, f"{path} has two columns {twice}: give them different names.")
    return [
        (
            f"{path}, line {line},",
            {name: value for name, value in zip(columns, row, strict=True) if not _is_index(name)},
        )
        for line, row in rows
    ]


def _is_index(name: str) -> bool:
    """Whether a column is the index of pandas, or empty because of a trailing delimiter."""
    return re.fullmatch(r"(unnamed: \d+(\.\d+)?)?", name, re.IGNORECASE) is not None


def _has_unnamed_is_index(first: list[str], width: int) -> bool:
    """Whether the rows have an index without a column name, as R writes it."""
    return (
        len(first) == width + 1
        and first[0].strip() in ("0", "1")
        and any(value.strip().lower().endswith(IMAGE_EXTENSIONS) for value in first)
    )


# --- CSV -------------------------------------------------------------------------------------------------------------


def read_csv(path: Path, chosen: str | None = None) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the column names of a CSV file, and the line number and values of each row that is not blank.

    Raises:
        UserError: The file cannot be read.
    """
    text = read_text(path)
    columns, dialect, skipped = _header(text, chosen)
    body = "".join(text.split("\n", skipped)[skipped:])
    csv.field_size_limit(MAX_FIELD_SIZE)
    first = next(csv.reader(io.StringIO(body), **dialect), [])
    if _has_unnamed_is_index(first, len(columns)):
        columns = ["", *columns]
    return columns, _csv_rows(path, body, skipped, columns, dialect)


def _header(text: str, chosen: str | None) -> tuple[list[str], dict[str, Any], int]:
    """Find the header. Return the column names, the arguments of `csv.reader`, and the number of lines to skip."""
    delimiters = list(DELIMITERS)
    for number, line in enumerate(text.split("\n"), 1):
        if separator := re.fullmatch(r"sep=(.)", line.strip(" ")):  # written by Excel
            delimiters = [separator[1]]
            continue
        candidates = [_cells(line.lstrip("# "), delimiter, quote) for delimiter in delimiters for quote in QUOTES]
        scores = [
            (
                any(_is_key(name, chosen) for name in cells),
                not any(name[:1] in QUOTES for name in cells if name),  # else the quotes are of the other kind
                len(cells),
                dialect["quotechar"] == '"',
            )
            for cells, dialect in candidates
        ]
        best = max(scores)
        if not line.strip() or (line.startswith("#") and not best[0]):
            continue
        columns, dialect = candidates[scores.index(best)]
        return columns, dialect, number
    return [], {}, text.count("\n")


def _is_key(name: str, chosen: str | None) -> bool:
    """Whether a name without quotes is that of the column of file names."""
    return name == chosen or (is_file_column(name) and name[0] not in QUOTES)


def _cells(line: str, delimiter: str, quote: str) -> tuple[list[str], dict[str, Any]]:
    """Split a header into column names, without blank ones at its end. Return the names and the dialect."""
    dialect: dict[str, Any] = {"delimiter": delimiter, "quotechar": quote, "skipinitialspace": True}
    cells = [name.strip().strip(INVISIBLE) for name in next(csv.reader([line], **dialect), [])]
    while cells and not cells[-1]:
        cells.pop()
    return cells, dialect


def _csv_rows(
    path: Path, body: str, skipped: int, columns: list[str], dialect: dict[str, Any]
) -> Iterator[tuple[int, list[str]]]:
    body, dialect, failed = _readable(body, dialect)
    reader = csv.reader(io.StringIO(body), **dialect)
    width = len(columns)
    try:
        for row in reader:
            line = skipped + reader.line_num
            while len(row) > width and not row[-1].strip():
                row.pop()
            if not any(map(str.strip, row)) or _is_comment(row, width):
                continue
            if len(row) != width:
                delimiter = DELIMITERS.get(dialect["delimiter"], "delimiters")
                raise UserError(
                    f"{path}, line {line}, has {len(row)} values for {width} columns: "
                    f"put a text with {delimiter} in double quotes."
                )
            yield line, row
    except csv.Error as error:
        raise UserError(
            f"{path}, line {skipped + reader.line_num}, is not CSV ({failed or error}): correct that line."
        ) from error


def _is_comment(row: list[str], width: int) -> bool:
    return row[0].startswith("# ") or (row[0].startswith("#") and len(row) != width)


def _readable(body: str, dialect: dict[str, Any]) -> tuple[str, dict[str, Any], csv.Error | None]:
    """Find a dialect that reads all rows without an unclosed quote.

    Returns:
        The text and its dialect; if there is none, the strict dialect and its error.
    """
    strict = dialect | {"strict": True}
    quote, delimiter = dialect.get("quotechar", '"'), dialect.get("delimiter", ",")
    tidied = re.sub(rf"{quote}[ \t]+(?={re.escape(delimiter)}|\n|\Z)", quote, body)  # blanks after a closing quote
    dialects = [(body, strict), (tidied, strict)]
    if delimiter == "\t":  # in most tables with tabs a quote is an ordinary character
        dialects.append((body, {"delimiter": "\t", "quoting": csv.QUOTE_NONE}))
    failed = None
    for text, candidate in dialects:
        try:
            for _ in csv.reader(io.StringIO(text), **candidate):
                pass
        except csv.Error as error:
            failed = failed or error
        else:
            return text, candidate, None
    return body, strict, failed


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json_rows(path: Path, chosen: str | None, layout: str) -> Iterator[TableRow]:
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):  # else it may be JSON lines
            raise UserError(f"{path} is not JSON ({error}): correct it; {layout}.") from error
        yield from _json_lines(path, text, layout)
        return
    if isinstance(content, dict):
        content = _list_of(content, chosen)
    require(isinstance(content, list), f"{path} is not a list of objects; {layout}.")
    unit = "line" if path.suffix.lower() != ".json" and len(content) == 1 else "entry"
    for number, columns in enumerate(content, 1):
        require(
            isinstance(columns, dict), f"{path}, {unit} {number}, is not a JSON object: correct that {unit}; {layout}."
        )
        yield f"{path}, {unit} {number},", columns


def _json_lines(path: Path, text: str, layout: str) -> Iterator[TableRow]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            columns = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}, is not JSON ({error}): correct that line.") from error
        require(isinstance(columns, dict), f"{path}, line {number}, is not a JSON object: correct that line; {layout}.")
        yield f"{path}, line {number},", columns


def _list_of(content: dict[str, Any], chosen: str | None) -> Any:
    """Return the rows of a file with one object: a single row, rows by column, a list of rows, or rows by image."""
    values = list(content.values())
    names = next((value for name, value in content.items() if name == chosen or is_file_column(name)), None)
    lists = [value for value in values if isinstance(value, list) and value and isinstance(value[0], dict)]
    rows: Any = [content]
    if isinstance(names, dict):  # pandas.DataFrame.to_json: {column: {row: value}}
        rows = [{name: _get(column, key) for name, column in content.items()} for key in names]
    elif isinstance(names, list):
        rows = [dict(zip(content, row, strict=False)) for row in zip(*values, strict=False)]
    elif names is None and lists:
        rows = lists[0] if len(lists) == 1 else None
    elif names is None and all(isinstance(value, dict) for value in values):
        rows = [{"file_name": name} | value for name, value in content.items()]
    elif names is None and "text" not in content and all(isinstance(value, str | list | None) for value in values):
        rows = [{"file_name": name, "text": value} for name, value in content.items()]
    return rows


def _get(values: Any, key: str) -> Any:
    return values.get(key) if isinstance(values, dict) else None

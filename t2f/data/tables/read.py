"""Tables as people have them -> rows.

CSV with commas, semicolons, tabs or bars, as spreadsheets and pandas write it; JSON as lines, as a list, by picture or
by column; UTF-8, UTF-16 or UTF-32.
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
from t2f.data.tables.columns import names_files
from t2f.utils.errors import UserError, require

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
QUOTES = "\"'"
INVISIBLE = "\ufeff\u200b"
LONGEST_TEXT = 2**31 - 1  # the most that csv takes on every system

Row = tuple[str, dict[str, Any]]
"""Where a row stands, as "metadata.csv, line 3,", and its values by column."""


def read_text(path: Path) -> str:
    """The content of a UTF-8, UTF-16 or UTF-32 file, without its byte order mark, its lines ended by line feeds."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): check data.* and the rights of that file."
        ) from error
    what = None if content.lstrip().startswith(b"{") else identify_unsupported(content[:HEADER_BYTES])
    require(what is None, f"{path} is no table but {what}.")
    try:
        text = content.decode(_encoding(content))
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}; Excel writes it as CSV UTF-8): "
            "save it as UTF-8."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):  # before UTF-16, whose mark begins the first
        return "utf-32"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if content[1:2] == b"\0" != content[:1]:
        return "utf-16-le"
    return "utf-16-be" if content[:1] == b"\0" != content[1:2] else "utf-8-sig"


def read_table(path: Path, chosen: str | None, layout: str) -> list[Row]:
    """The rows of a table, whose column `chosen` names the pictures.

    Raises `UserError` for what cannot be read; `layout` says what is expected.
    """
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return list(_json_rows(path, chosen, layout))
    columns, rows = read_csv(path, chosen)
    require(len(columns) > 0, f"{path}, line 1, names no column file_name; {layout}.")
    picture = next((name for name in columns if name != chosen and name.lower().endswith(IMAGE_EXTENSIONS)), None)
    require(
        picture is None,
        f"{path} starts with {picture} in place of the names of its columns: write file_name, text above it.",
    )
    twice = next((name for name in columns if columns.count(name) > 1 and not _index(name)), None)
    require(twice is None, f"{path} has two columns {twice}: give them different names.")
    return [
        (f"{path}, line {line},", {name: value for name, value in zip(columns, row, strict=True) if not _index(name)})
        for line, row in rows
    ]


def _index(name: str) -> bool:
    """Whether a column is the index that pandas writes, or the blank one after a last delimiter."""
    return re.fullmatch(r"(unnamed: \d+(\.\d+)?)?", name, re.IGNORECASE) is not None


def _has_unnamed_index(first: list[str], width: int) -> bool:
    """Whether the first row begins with a number that the header has no name for, as R writes it."""
    return (
        len(first) == width + 1
        and first[0].strip() in ("0", "1")
        and any(value.strip().lower().endswith(IMAGE_EXTENSIONS) for value in first)
    )


# --- CSV -------------------------------------------------------------------------------------------------------------


def read_csv(path: Path, chosen: str | None = None) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The names of the columns, and (line number, values) of each row that is not blank."""
    text = read_text(path)
    columns, style, skipped = _header(text, chosen)
    body = "".join(text.split("\n", skipped)[skipped:])
    csv.field_size_limit(LONGEST_TEXT)
    first = next(csv.reader(io.StringIO(body), **style), [])
    if _has_unnamed_index(first, len(columns)):
        columns = ["", *columns]
    return columns, _csv_rows(path, body, skipped, columns, style)


def _header(text: str, chosen: str | None) -> tuple[list[str], dict[str, Any], int]:
    """The names of the columns, how the table is written, and the number of the lines before its rows."""
    delimiters = list(DELIMITERS)
    for number, line in enumerate(text.split("\n"), 1):
        if told := re.fullmatch(r"sep=(.)", line.strip(" ")):  # Excel's own
            delimiters = [told[1]]
            continue
        read = [_cells(line.lstrip("# "), delimiter, quote) for delimiter in delimiters for quote in QUOTES]
        scores = [
            (
                any(_is_key(name, chosen) for name in cells),
                not any(name[:1] in QUOTES for name in cells if name),  # else they are of the other kind
                len(cells),
                style["quotechar"] == '"',
            )
            for cells, style in read
        ]
        best = max(scores)
        if not line.strip() or (line.startswith("#") and not best[0]):
            continue
        columns, style = read[scores.index(best)]
        return columns, style, number
    return [], {}, text.count("\n")


def _is_key(name: str, chosen: str | None) -> bool:
    """Whether a name, which no quote is left in, is that of the column of pictures."""
    return name == chosen or (names_files(name) and name[0] not in QUOTES)


def _cells(line: str, delimiter: str, quote: str) -> tuple[list[str], dict[str, Any]]:
    """A header's names, without blank ones at its end, read in some style."""
    style: dict[str, Any] = {"delimiter": delimiter, "quotechar": quote, "skipinitialspace": True}
    cells = [name.strip().strip(INVISIBLE) for name in next(csv.reader([line], **style), [])]
    while cells and not cells[-1]:
        cells.pop()
    return cells, style


def _csv_rows(
    path: Path, body: str, skipped: int, columns: list[str], style: dict[str, Any]
) -> Iterator[tuple[int, list[str]]]:
    body, style, failed = _readable(body, style)
    reader = csv.reader(io.StringIO(body), **style)
    width = len(columns)
    try:
        for row in reader:
            line = skipped + reader.line_num
            while len(row) > width and not row[-1].strip():
                row.pop()
            if not any(map(str.strip, row)) or _is_comment(row, width):
                continue
            if len(row) != width:
                what = DELIMITERS.get(style["delimiter"], "such signs")
                raise UserError(
                    f"{path}, line {line}, has {len(row)} values for {width} columns: "
                    f"put a text with {what} in double quotes."
                )
            yield line, row
    except csv.Error as error:
        raise UserError(
            f"{path}, line {skipped + reader.line_num}, is not CSV ({failed or error}): mend that line."
        ) from error


def _is_comment(row: list[str], width: int) -> bool:
    return row[0].startswith("# ") or (row[0].startswith("#") and len(row) != width)


def _readable(body: str, style: dict[str, Any]) -> tuple[str, dict[str, Any], csv.Error | None]:
    """The first way to read the rows in which no quote is left open: the strict one, and its error, if none is."""
    strict = style | {"strict": True}
    quote, delimiter = style.get("quotechar", '"'), style.get("delimiter", ",")
    tidied = re.sub(rf"{quote}[ \t]+(?={re.escape(delimiter)}|\n|\Z)", quote, body)  # blanks after a last quote
    ways = [(body, strict), (tidied, strict)]
    if delimiter == "\t":  # in most tables with tabs a quote is a sign as any other
        ways.append((body, {"delimiter": "\t", "quoting": csv.QUOTE_NONE}))
    failed = None
    for text, way in ways:
        try:
            for _ in csv.reader(io.StringIO(text), **way):
                pass
        except csv.Error as error:
            failed = failed or error
        else:
            return text, way, None
    return body, strict, failed


# --- JSON ------------------------------------------------------------------------------------------------------------


def _json_rows(path: Path, chosen: str | None, layout: str) -> Iterator[Row]:
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if path.suffix.lower() == ".json" and not _is_json(text.lstrip().partition("\n")[0]):
            raise UserError(f"{path} is not JSON ({error}): mend it; {layout}.") from error
        yield from _json_lines(path, text, layout)
        return
    if isinstance(content, dict):
        content = _list_of(content, chosen)
    require(isinstance(content, list), f"{path} is no list of objects; {layout}.")
    unit = "line" if path.suffix.lower() != ".json" and len(content) == 1 else "entry"
    for number, columns in enumerate(content, 1):
        require(isinstance(columns, dict), f"{path}, {unit} {number}, is no JSON object: mend that {unit}; {layout}.")
        yield f"{path}, {unit} {number},", columns


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _json_lines(path: Path, text: str, layout: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            columns = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}, is not JSON ({error}): mend that line.") from error
        require(isinstance(columns, dict), f"{path}, line {number}, is no JSON object: mend that line; {layout}.")
        yield f"{path}, line {number},", columns


def _list_of(content: dict[str, Any], chosen: str | None) -> Any:
    """The objects of a file that is one object: a single one, or all of them by column, in a list, or by picture."""
    values = list(content.values())
    names = next((value for name, value in content.items() if name == chosen or names_files(name)), None)
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

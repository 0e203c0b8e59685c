"""Finds the columns of a table that contain file names and texts, and reads attribute values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from t2f.data.images.formats import IMAGE_EXTENSIONS
from t2f.utils.errors import UserError

Columns = Mapping[str, Sequence[Any]]
"""The values of each column, by its name."""

FILE_COLUMNS = {"filename", "file", "filepath", "path", "picture", "photo"}
FILE_COLUMNS |= {start + end for start in ("image", "img") for end in ("", "name", "file", "filename", "path", "id")}
TEXT_COLUMNS = {"text", "caption", "prompt", "description", "sentence", "comment", "txt"}
TEXT_COLUMNS |= {"alttext", "imagecaption", "imagedescription", "imagetext", "textprompt", "captiontext"}
SAMPLE_SIZE = 1000  # values from which the content of a column is inferred
MIN_WORDS = 3  # average number of words in a column of sentences
MISSING = {"", "nan", "none", "null", "n/a", "na", "<na>", "nat"}

PRESENT, ABSENT, MINUS_ONE, UNKNOWN = range(4)
VALUES = dict.fromkeys(MISSING | {"?"}, UNKNOWN)
for _value, _digit in ((PRESENT, "1"), (ABSENT, "0"), (MINUS_ONE, "-1")):
    VALUES |= dict.fromkeys((_digit, f"{_digit}.0", f"{_digit},0", f"{_digit}.00", f"{_digit},00"), _value)
VALUES |= dict.fromkeys(("+1", "true", "yes", "t", "y", "wahr", "ja", "vrai", "oui"), PRESENT)
VALUES |= dict.fromkeys(("false", "no", "f", "n", "falsch", "nein", "faux", "non"), ABSENT)


def attribute_value(value: Any) -> int | None:
    """Parse an attribute value.

    Returns:
        PRESENT, ABSENT, UNKNOWN or MINUS_ONE; None for any other value. -1 means absent in a column of -1 and 1, and
        unknown in a column of -1, 0 and 1.
    """
    return VALUES.get("" if value is None else str(value).strip().lower())


def is_missing(value: Any) -> bool:
    """Whether a cell is empty or contains a missing value as pandas writes it."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().lower() in MISSING)


def normalized(name: str) -> str:
    """Normalize a column name: File Name, file_name and fileName are the same."""
    return re.sub(r"[\W_]+", "", name.casefold())


def is_file_column(name: str) -> bool:
    return normalized(name) in FILE_COLUMNS


def is_text_column(name: str) -> bool:
    return _stem(name) in TEXT_COLUMNS


def _stem(name: str) -> str:
    """Remove number and plural: "caption" for Captions, caption_1 and caption2."""
    return normalized(name).rstrip("0123456789").removesuffix("s")


def file_column(columns: Columns, chosen: str | None, location: str) -> tuple[str | None, str | None]:
    """Return the name of the column of file names, if there is one, and a note if it is not file_name.

    `chosen` is the column that the user set, `location` the table in messages.

    Raises:
        UserError: The chosen column does not exist, or several columns may contain file names.
    """
    if name := _given(columns, chosen, "file_name", location):
        return name, None
    image_columns = [name for name in columns if _mostly(columns[name], lambda value: value.endswith(IMAGE_EXTENSIONS))]
    known = [name for name in columns if is_file_column(name)]
    found = [name for name in known if name in image_columns] or known or image_columns
    return only_column(found, "file_name", "The file names are", location) if found else (None, None)


def text_columns(columns: Columns, chosen: str | None, location: str) -> tuple[list[str], str | None]:
    """Return the names of the columns of texts, several for caption_1, caption_2, ..., and a note if it is not text.

    `columns` are those of the table without the file names; see `file_column`.

    Raises:
        UserError: The chosen column does not exist, or several columns may contain texts.
    """
    if name := _given(columns, chosen, "text", location):
        return [name], None
    known = [name for name in columns if is_text_column(name) and _may_be_texts(columns[name])]
    if len({_stem(name) for name in known}) == 1:
        return known, f"The texts are taken from the column {' and '.join(known)} of {location}."
    found = known or [name for name in columns if _is_prose(columns[name])]
    if not found:
        return [], None
    name, note = only_column(found, "text", "The texts are", location)
    return [name], note


def _given(columns: Columns, chosen: str | None, default: str, location: str) -> str | None:
    """Return the column that the user set, or the one with the default name, or None."""
    if chosen is None:
        return default if default in columns else None
    if chosen not in columns:
        raise UserError(f"{location} has no column {chosen}: set data.{default} to one of {', '.join(columns)}.")
    return chosen


def only_column(found: Sequence[str], default: str, subject: str, location: str) -> tuple[str, str]:
    """Return the only candidate for the column `default`, and a note about it.

    Raises:
        UserError: There are several candidates.
    """
    if len(found) > 1:
        raise UserError(
            f"{location} has no column {default}, but {' and '.join(found)}: choose one with data.{default}."
        )
    return found[0], f"{subject} taken from the column {found[0]} of {location}."


def _sample(values: Sequence[Any]) -> list[Any]:
    """Return the first values, with the first element of each list."""
    return [value[0] if isinstance(value, list) and value else value for value in values[:SAMPLE_SIZE]]


def _texts(values: Sequence[Any]) -> list[str]:
    """Return the texts of a sample."""
    return [value.strip() for value in _sample(values) if isinstance(value, str) and not is_missing(value)]


def _mostly(values: Sequence[Any], test: Callable[[str], bool]) -> bool:
    texts = _texts(values)
    return sum(test(text.lower()) for text in texts) > len(texts) / 2


def _may_be_texts(values: Sequence[Any]) -> bool:
    """Whether some values contain letters, or are objects, for which `read_rows` reports the expected format."""
    letters = any(re.search(r"[^\W\d_]", text) for text in _texts(values))
    return letters or any(isinstance(value, dict) for value in _sample(values))


def _is_prose(values: Sequence[Any]) -> bool:
    """Whether the values are sentences and not all equal, like a license."""
    texts = _texts(values)
    words = sum(len(re.findall(r"[^\W\d_]+", text)) for text in texts)
    return len(set(texts)) > 1 and words >= MIN_WORDS * len(texts) and not _mostly(values, _is_path_or_url)


def _is_path_or_url(text: str) -> bool:
    return "://" in text or text.endswith(IMAGE_EXTENSIONS)

"""Which columns of a table hold the pictures, their texts and their attributes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from t2f.data.images.formats import IMAGE_EXTENSIONS
from t2f.utils.errors import UserError

Columns = Mapping[str, Sequence[Any]]
"""The values of each column, by its name."""

FILES = {"filename", "file", "filepath", "path", "picture", "photo"}
FILES |= {start + end for start in ("image", "img") for end in ("", "name", "file", "filename", "path", "id")}
TEXTS = {"text", "caption", "prompt", "description", "sentence", "comment", "txt"}
TEXTS |= {"alttext", "imagecaption", "imagedescription", "imagetext", "textprompt", "captiontext"}
SAMPLE = 1000  # values are enough to tell what a column holds
WORDS = 3  # a sentence has, at least, on average
MISSING = {"", "nan", "none", "null", "n/a", "na", "<na>", "nat"}

PRESENT, ABSENT, MINUS, UNKNOWN = range(4)
VALUES = dict.fromkeys(MISSING | {"?"}, UNKNOWN)
for _value, _digit in ((PRESENT, "1"), (ABSENT, "0"), (MINUS, "-1")):
    VALUES |= dict.fromkeys((_digit, f"{_digit}.0", f"{_digit},0", f"{_digit}.00", f"{_digit},00"), _value)
VALUES |= dict.fromkeys(("+1", "true", "yes", "t", "y", "wahr", "ja", "vrai", "oui"), PRESENT)
VALUES |= dict.fromkeys(("false", "no", "f", "n", "falsch", "nein", "faux", "non"), ABSENT)


def attribute_value(value: Any) -> int | None:
    """PRESENT, ABSENT, MINUS (-1, whose meaning hangs on the column) or UNKNOWN; None for anything else."""
    return VALUES.get("" if value is None else str(value).strip().lower())


def is_missing(value: Any) -> bool:
    """Whether a cell says that there is nothing, as pandas writes it."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().lower() in MISSING)


def plain(name: str) -> str:
    """A column's name without what people write differently: File Name, file_name and fileName are the same."""
    return re.sub(r"[\W_]+", "", name.casefold())


def names_files(name: str) -> bool:
    return plain(name) in FILES


def names_texts(name: str) -> bool:
    return _stem(name) in TEXTS


def _stem(name: str) -> str:
    """caption of Captions, caption_1 and caption2."""
    return plain(name).rstrip("0123456789").removesuffix("s")


def file_column(columns: Columns, chosen: str | None, where: str) -> tuple[str | None, str | None]:
    """The column of the pictures' names, None where there is none, and a note if it is not called file_name."""
    if name := _given(columns, chosen, "file_name", where):
        return name, None
    pictures = [name for name in columns if _mostly(columns[name], lambda value: value.endswith(IMAGE_EXTENSIONS))]
    known = [name for name in columns if names_files(name)]
    found = [name for name in known if name in pictures] or known or pictures
    return only(found, "file_name", "The pictures' names are", where) if found else (None, None)


def text_columns(columns: Columns, chosen: str | None, where: str) -> tuple[list[str], str | None]:
    """The columns of texts, and a note if it is not one called text: none where there is no text at all.

    caption_1, caption_2, ... are taken together.
    """
    if name := _given(columns, chosen, "text", where):
        return [name], None
    known = [name for name in columns if names_texts(name) and _may_be_texts(columns[name])]
    if len({_stem(name) for name in known}) == 1:
        return known, f"The texts are taken from the column {' and '.join(known)} of {where}."
    found = known or [name for name in columns if _is_prose(columns[name])]
    if not found:
        return [], None
    name, note = only(found, "text", "The texts are", where)
    return [name], note


def _given(columns: Columns, chosen: str | None, usual: str, where: str) -> str | None:
    """The column that the user chose, or that has the usual name."""
    if chosen is None:
        return usual if usual in columns else None
    if chosen not in columns:
        raise UserError(f"{where} has no column {chosen}: set data.{usual} to one of {', '.join(columns)}.")
    return chosen


def only(found: Sequence[str], usual: str, what: str, where: str) -> tuple[str, str]:
    """The only column that can be the usual one, and a note that says so; `UserError` where there are several."""
    if len(found) > 1:
        raise UserError(f"{where} has no column {usual}, but {' and '.join(found)}: choose one with data.{usual}.")
    return found[0], f"{what} taken from the column {found[0]} of {where}."


def _sample(values: Sequence[Any]) -> list[Any]:
    """The first values, of a list its first."""
    return [value[0] if isinstance(value, list) and value else value for value in values[:SAMPLE]]


def _texts(values: Sequence[Any]) -> list[str]:
    """Those of a sample that are texts."""
    return [value.strip() for value in _sample(values) if isinstance(value, str) and not is_missing(value)]


def _mostly(values: Sequence[Any], test: Callable[[str], bool]) -> bool:
    texts = _texts(values)
    return sum(test(text.lower()) for text in texts) > len(texts) / 2


def _may_be_texts(values: Sequence[Any]) -> bool:
    """Whether some have letters; or are objects, so that what is wanted of them is told."""
    letters = any(re.search(r"[^\W\d_]", text) for text in _texts(values))
    return letters or any(isinstance(value, dict) for value in _sample(values))


def _is_prose(values: Sequence[Any]) -> bool:
    """Whether these are sentences, and not the same one for all pictures, as a license is."""
    texts = _texts(values)
    words = sum(len(re.findall(r"[^\W\d_]+", text)) for text in texts)
    return len(set(texts)) > 1 and words >= WORDS * len(texts) and not _mostly(values, _is_place)


def _is_place(text: str) -> bool:
    return "://" in text or text.endswith(IMAGE_EXTENSIONS)

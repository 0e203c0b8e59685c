"""A folder of pictures with a table of their descriptions: what the `datasets` library calls an ImageFolder.

    faces/metadata.jsonl      {"file_name": "0001.jpg", "text": "a man with a beard", "Smiling": 1}
    faces/0001.jpg

The table may be `metadata.csv` too, and the folder may hold `train/` and `test/` or `validation/`, each with pictures
and a table of its own.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.describing import describe_all
from t2f.data.faces import Attributes
from t2f.data.photographs import Files, Listing, Photographs, first_few, hold_out, inside, place, read_text
from t2f.data.phrases import CLAIMS, COLOURS, FACIAL_HAIR
from t2f.errors import UserError, require
from t2f.text.unicode import well_formed

TABLES = ("metadata.jsonl", "metadata.csv")
HELD_OUT = ("test", "validation")
LAYOUT = "expected are pictures beside a metadata.jsonl or metadata.csv that gives the file_name and text of each"

# The attributes that captions can be made from, under CelebA's names
DESCRIBED = {name for claim in (*CLAIMS, *FACIAL_HAIR) for name in claim.asked}
DESCRIBED |= {"Male", "Long_Hair", "Straight_Hair", "Wavy_Hair", *COLOURS}

PRESENT, ABSENT, MINUS, UNKNOWN = range(4)
VALUES = {"1": PRESENT, "1.0": PRESENT, "true": PRESENT, "0": ABSENT, "0.0": ABSENT, "false": ABSENT}
VALUES |= {"-1": MINUS, "-1.0": MINUS, "": UNKNOWN}


@dataclass(frozen=True)
class Row:
    """A row of a table: where it stands, its picture below the folder, its texts and its other columns."""

    where: str
    file: str
    captions: list[str]
    columns: dict[str, Any]


class Folder(Photographs):
    """The faces that the folder's tables list, with their texts as captions.

    `text` may be a list of sentences in JSON lines; where it is missing or empty, the face has no captions. Columns
    whose values are all 1, 0, -1, true, false or empty are attributes, in which -1 is absent if the column has no 0
    and no false (as in CelebA), and else unknown, as is empty. If no face has a text, `captions_per_face` sentences
    are made from the attributes that are named as in CelebA.

    Without a `test/` or `validation/` folder, a share `held_out` is, chosen by the files' names alone, so that it
    stays held out when faces are added.
    """

    name = "folder"

    def __init__(
        self,
        folder: str,
        cache: str,
        resolution: int,
        crop: float = 1.0,
        captions_per_face: int = 4,
        held_out: float = 0.05,
        seed: int = 0,
        mirror: bool = True,
        on_error: str = "raise",
        workers: int | None = None,
    ) -> None:
        super().__init__(
            cache, resolution, crop, held_out, mirror, on_error, workers, captions_per_face=captions_per_face
        )
        self.source = Path(folder).expanduser()
        self.captions_per_face = captions_per_face
        self.seed = seed

    def read(self) -> Listing:
        rows, train = self._split_rows()
        absent = None if self.skip else next((row for row in rows if not (self.source / row.file).is_file()), None)
        if absent:
            raise UserError(
                f"{absent.where} names {absent.file}, which is not in {self.source}: add the picture or remove the "
                "row, or leave such pictures out with data.on_error=skip."
            )
        names, attributes, ignored = _attributes(rows)
        notes = [f"These columns are neither file_name, text nor attributes: {', '.join(ignored)}."] if ignored else []
        captions: Sequence[Sequence[str]] = [row.captions for row in rows]
        files = [row.file for row in rows]
        known = [i for i, name in enumerate(names) if name in DESCRIBED]
        if not any(captions) and known:
            chosen = [names[i] for i in known]
            captions = describe_all(
                self.cache,
                self.name,
                files,
                attributes[:, known],
                chosen,
                self.captions_per_face,
                self.seed,
                self.workers,
            )
            notes.append(f"No face of {self.source} has a text: captions are made from {first_few(chosen)}.")
        elif not any(captions):
            notes.append(f"No face of {self.source} has a text, nor attributes under CelebA's names to make one from.")
        return Listing(Files(self.source, files), train, captions, attributes, names, notes)

    def _split_rows(self) -> tuple[list[Row], int]:
        """All rows, the training faces first, and how many those are."""
        parts = [part for part in ("train", *HELD_OUT) if _table(self.source / part)]
        if "train" in parts:
            rows = _read_table(self.source, "train")
        else:
            parts = []
            rows = _read_table(self.source, "")
        if len(parts) > 1:
            return rows + [row for part in parts[1:] for row in _read_table(self.source, part)], len(rows)
        files = [row.file for row in rows]
        # In this order any share held out is the end, so that another share needs no decoding.
        rows.sort(key=lambda row: place(row.file), reverse=True)
        return rows, len(rows) - len(hold_out(files, self.share_held_out))


def _table(folder: Path) -> Path | None:
    tables = [folder / table for table in TABLES if (folder / table).is_file()]
    require(len(tables) < 2, f"{folder} holds both {' and '.join(TABLES)}: remove one of them.")
    return tables[0] if tables else None


def _read_table(source: Path, part: str) -> list[Row]:
    """The rows of the table in `source`, or in its folder `part`; files are named from `source` on."""
    path = _table(source / part)
    if path is None:
        what = "No table of faces in the folder" if source.is_dir() else "No such folder"
        raise UserError(f"{what}: {source} (data.folder); {LAYOUT}.")
    lines: dict[str, int] = {}
    rows = []
    for line, columns in (_csv_rows if path.suffix == ".csv" else _json_rows)(path):
        where = f"{path}, line {line},"
        name = columns.pop("file_name", None)
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"{where} has no file_name: name the picture there, relative to {path.parent}.")
        require(inside(name), f"{where} names {name}, which leaves the folder {path.parent}: move the picture into it.")
        file = (Path(part) / name).as_posix()
        if file in lines:
            raise UserError(
                f"{where} names {name} again, after line {lines[file]}: keep one of them; in a metadata.jsonl its text "
                "may be a list of sentences."
            )
        lines[file] = line
        rows.append(Row(where, file, _captions(columns.pop("text", None), where), columns))
    require(len(rows) > 0, f"{path} lists no pictures; {LAYOUT}.")
    return rows


def _captions(text: Any, where: str) -> list[str]:
    texts = text if isinstance(text, list) else [text]
    if not all(isinstance(text, str | None) for text in texts):
        raise UserError(f"{where} has a text that is no text: write a sentence or a list of sentences.")
    return [well_formed(text.strip()) for text in texts if text and text.strip()]


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(read_text(path)), strict=True)
    try:
        header = next(reader, [])
        require("file_name" in header, f"{path}, line 1, names no column file_name; {LAYOUT}.")
        for row in reader:
            if row and len(row) != len(header):
                raise UserError(
                    f"{path}, line {reader.line_num}, has {len(row)} values for {len(header)} columns: "
                    "put a text with commas in double quotes."
                )
            if row:
                yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}, is not CSV ({error}): mend that line.") from error


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            columns = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}, is not JSON ({error}): mend that line.") from error
        require(isinstance(columns, dict), f"{path}, line {number}, is no JSON object: mend that line; {LAYOUT}.")
        yield number, columns


def _attributes(rows: Sequence[Row]) -> tuple[list[str], Attributes, list[str]]:
    """The names of the attribute columns, int8 (N, A) of them, and the names of the other columns."""
    names = list(dict.fromkeys(name for row in rows for name in row.columns))
    attributes: dict[str, list[int]] = {}
    for name in names:
        values = [row.columns.get(name) for row in rows]
        found = [VALUES.get("" if value is None else str(value).strip().lower()) for value in values]
        if None in found or set(found) == {UNKNOWN}:
            continue
        meaning = {PRESENT: 1, ABSENT: 0, MINUS: -1 if ABSENT in found else 0, UNKNOWN: -1}
        attributes[name] = [meaning[value] for value in found if value is not None]
    table = np.array(list(attributes.values()), np.int8).reshape(-1, len(rows)).T
    return list(attributes), np.ascontiguousarray(table), [name for name in names if name not in attributes]

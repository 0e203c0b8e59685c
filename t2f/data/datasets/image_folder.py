"""A folder of pictures with a table of their descriptions: what the `datasets` library calls an ImageFolder.

    faces/metadata.jsonl      {"file_name": "0001.jpg", "text": "a man with a beard", "Smiling": 1}
    faces/0001.jpg

The table may be a `metadata.csv`, or any other one that `t2f.data.tables.read` reads; or there is a text file for each
picture, with a sentence a line. The folder may hold `train/` and `test/` or `validation/`, each with pictures and a
table of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.captions.describe_all import describe_all
from t2f.data.captions.lazy import Captions
from t2f.data.captions.phrases import CLAIMS, COLORS, FACIAL_HAIR
from t2f.data.datasets.photographs import Files, ImageDataset, ImageListing, first_few, hold_out, place
from t2f.data.faces import Attributes
from t2f.data.tables.columns import ABSENT, MINUS, PRESENT, UNKNOWN, attribute_value
from t2f.data.tables.file_names import Names, inside
from t2f.data.tables.metadata import Row, find_table, has_rows, read_rows
from t2f.utils.errors import UserError, require

HELD_OUT = ("test", "validation")

# The attributes that captions can be made from, under CelebA's names
DESCRIBED = {name for claim in (*CLAIMS, *FACIAL_HAIR) for name in claim.expected}
DESCRIBED |= {"Male", "Long_Hair", "Straight_Hair", "Wavy_Hair", *COLORS}


@dataclass
class Face:
    """What the rows of one picture say: where the first of them stands, the file, the texts, and all other values."""

    where: str
    file: str
    captions: list[str] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Take what one more row says."""
        self.captions += [text for text in row.captions if text not in self.captions]
        for name, value in row.columns.items():
            self.columns.setdefault(name, []).append(value)


class ImageFolder(ImageDataset):
    """The faces that the folder's tables list, with their texts as captions.

    `text` may be a list of sentences in JSON lines; where it is missing or empty, the face has no captions. Columns
    whose values are all 1, 0, -1, true, false, yes, no or empty are attributes, in which -1 is absent if the column has
    no 0, no false and no no (as in CelebA), and else unknown, as is empty. If no face has a text, `captions_per_face`
    sentences are made from the attributes that are named as in CelebA. The texts of all rows of one picture are its
    captions.

    The columns `file_name` and `text` may have other names: these two settings choose them, and where they are None,
    the only column that can be it is taken, with a note.

    Without a `test/` or `validation/` folder, a share `held_out` is, chosen by the files' names alone, so that it
    stays held out when faces are added.
    """

    name = "folder"

    def __init__(
        self,
        folder: str,
        cache: str,
        resolution: int,
        file_name: str | None = None,
        text: str | None = None,
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
        self.file_name = file_name
        self.text = text
        self.captions_per_face = captions_per_face
        self.seed = seed

    def read(self) -> ImageListing:
        rows, train, notes = self._split_rows()
        names, attributes, ignored = _attributes(rows)
        if ignored:
            notes.append(f"These columns are neither file_name, text nor attributes: {', '.join(ignored)}.")
        captions: Captions = [row.captions for row in rows]
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
        return ImageListing(Files(self.source, files), train, captions, attributes, names, notes)

    def _split_rows(self) -> tuple[list[Face], int, list[str]]:
        """All faces, those to train on first; how many those are; and sentences for the terminal."""
        found = [part for part in ("train", *HELD_OUT) if has_rows(self.source / part, metadata_only=True)]
        if "train" not in found and not find_table(self.source):
            found = [part for part in ("train", *HELD_OUT) if has_rows(self.source / part)]
        parts = found if "train" in found else [""]
        notes: list[str] = []
        names = Names(self.source, skip=self.skip)
        faces = [self._faces(part, names, notes) for part in parts]
        if len(faces) > 1:
            return [face for some in faces for face in some], len(faces[0]), notes
        # In this order any share held out is the end, so that another share needs no decoding.
        rows = sorted(faces[0], key=lambda face: place(face.file), reverse=True)
        return rows, len(rows) - len(hold_out([face.file for face in rows], self.share_held_out)), notes

    def _faces(self, part: str, names: Names, notes: list[str]) -> list[Face]:
        """The faces of the folder, or of its folder `part`; their files are named from the folder on."""
        rows, apart, said = read_rows(self.source / part, self.file_name, self.text, self.source)
        files = names.resolve([(row.where, row.name) for row in rows], part, apart)
        faces: dict[str, Face] = {}
        for row, found in zip(rows, files, strict=True):
            file = found or (Path(part) / row.name).as_posix()  # whose decoding tells that it is not there
            if found is None:
                require(
                    self.skip,
                    f"{row.where} names {row.name}, which is not in {self.source / part}{names.near(row.name)}: add "
                    "the picture or remove the row, or leave such pictures out with data.on_error=skip.",
                )
            if found or inside(row.name):
                faces.setdefault(file, Face(row.where, file)).add(row)
        elsewhere = sum(found is None and not inside(row.name) for row, found in zip(rows, files, strict=True))
        if elsewhere:
            said.append(f"{elsewhere:,} pictures of other folders are not in {self.source / part} and are left out.")
        repeated = len(rows) - elsewhere - len(faces)
        if repeated:
            said.append(f"{repeated:,} rows name a picture again: their texts are captions of it, too.")
        notes += said
        return list(faces.values())


def _attributes(faces: Sequence[Face]) -> tuple[list[str], Attributes, list[str]]:
    """The names of the attribute columns, int8 (N, A) of them, and the names of the other columns."""
    names = list(dict.fromkeys(name for face in faces for name in face.columns))
    attributes: dict[str, list[int]] = {}
    for name in names:
        values = [{attribute_value(value) for value in face.columns.get(name, [None])} for face in faces]
        found: set[int | None] = set().union(*values)
        if None in found or found == {UNKNOWN}:
            continue
        known = [some - {UNKNOWN} for some in values]
        contrary = [face for face, some in zip(faces, known, strict=True) if len(some) > 1]
        repeated = [face for face in faces if len(face.columns.get(name, [])) > 1]
        if contrary and (len(contrary) < len(repeated) or name in DESCRIBED):
            raise UserError(
                f"{contrary[0].where} and a later row of the same picture disagree on {name}: mend one of them."
            )
        if contrary:  # the texts of a picture are numbered 0, 1
            continue
        meaning = {PRESENT: 1, ABSENT: 0, MINUS: -1 if ABSENT in found else 0, None: -1}
        attributes[name] = [meaning[next(iter(some), None)] for some in known]
    table = np.array(list(attributes.values()), np.int8).reshape(-1, len(faces)).T
    return list(attributes), np.ascontiguousarray(table), [name for name in names if name not in attributes]

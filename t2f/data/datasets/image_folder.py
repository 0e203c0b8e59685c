"""Folders of images with a table of captions and attributes, as in the `datasets` library's ImageFolder.

    faces/metadata.jsonl      {"file_name": "0001.jpg", "text": "a man with a beard", "Smiling": 1}
    faces/0001.jpg

The table may also be a `metadata.csv` or any other table that `t2f.data.tables.read` reads, or each image may have a
text file with one caption per line. The folder may contain `train/` and `test/` or `validation/`, each with its own
images and table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.captions.generate_all import generate_captions
from t2f.data.captions.lazy import Captions
from t2f.data.captions.phrases import COLORS, FACIAL_HAIR_PHRASES, PHRASES
from t2f.data.datasets.photographs import Files, ImageDataset, ImageListing, check_counts, hold_out, split_position
from t2f.data.faces import Attributes
from t2f.data.tables.columns import ABSENT, MINUS_ONE, PRESENT, UNKNOWN, attribute_value
from t2f.data.tables.file_names import FileIndex, first_few, is_inside
from t2f.data.tables.metadata import Row, find_table, has_rows, read_rows
from t2f.utils.errors import UserError, require

HELD_OUT = ("test", "validation")

# CelebA's names of the attributes that captions can be generated from
DESCRIBED = {name for claim in (*PHRASES, *FACIAL_HAIR_PHRASES) for name in claim.expected}
DESCRIBED |= {"Male", "Long_Hair", "Straight_Hair", "Wavy_Hair", *COLORS}


@dataclass
class Face:
    """The rows of one image.

    Args:
        location: file and line of the first row, for messages.
        file: path of the image.
        captions: distinct texts of all rows.
        columns: values of the other columns, by name.
    """

    location: str
    file: str
    captions: list[str] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        """Append the texts and values of a row."""
        self.captions += [text for text in row.captions if text not in self.captions]
        for name, value in row.columns.items():
            self.columns.setdefault(name, []).append(value)


class ImageFolder(ImageDataset):
    """The faces in the tables of a folder.

    Texts become captions; the texts of several rows of one image are all captions of it. A face without text has no
    captions. Columns whose values are all 1, 0, -1, true, false, yes, no or empty are attributes. In a column without
    0, false and no, -1 is absent, as in CelebA. Otherwise -1 is unknown, as are empty values. If no face has a text,
    captions are generated from attributes with CelebA's names.

    With a `train/` folder, `test/` and `validation/` are held out. Without them, a fraction of the faces is held out by
    file name, so that a held-out face remains held out when faces are added.

    Args:
        folder: the folder.
        file_name: the column of file names. Defaults to "file_name", or to the only column that qualifies, with a note.
        text: the column of texts. Defaults to "text", or to the only column that qualifies, with a note. In JSON lines,
            a text may be a list of sentences.
        captions_per_face: number of generated captions of each face.
        seed: seed of generated captions.
        **settings: see `ImageDataset`. `held_out` applies if there is no split.

    Raises:
        ValueError: if an argument is out of range.
    """

    name = "folder"

    def __init__(
        self,
        folder: str,
        file_name: str | None = None,
        text: str | None = None,
        captions_per_face: int = 4,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_counts(captions_per_face=captions_per_face)
        self.source = Path(folder).expanduser()
        self.file_name = file_name
        self.text = text
        self.captions_per_face = captions_per_face
        self.seed = seed

    def read(self) -> ImageListing:
        faces, train, notes = self._split_faces()
        names, attributes, ignored = _attributes(faces)
        if ignored:
            notes.append(f"These columns are neither file_name, text nor attributes: {', '.join(ignored)}.")
        captions: Captions = [face.captions for face in faces]
        files = [face.file for face in faces]
        described = [i for i, name in enumerate(names) if name in DESCRIBED]
        if not any(captions) and described:
            described_names = [names[i] for i in described]
            captions = generate_captions(
                self.cache,
                self.name,
                files,
                attributes[:, described],
                described_names,
                self.captions_per_face,
                self.seed,
                self.workers,
            )
            notes.append(
                f"No face of {self.source} has a text: captions are generated from {first_few(described_names)}."
            )
        elif not any(captions):
            notes.append(
                f"No face of {self.source} has a text or attributes with CelebA's names: there are no captions."
            )
        return ImageListing(Files(self.source, files), train, captions, attributes, names, notes)

    def _split_faces(self) -> tuple[list[Face], int, list[str]]:
        """Return all faces with the training faces first, the number of training faces, and notes."""
        found = [part for part in ("train", *HELD_OUT) if has_rows(self.source / part, metadata_only=True)]
        if "train" not in found and not find_table(self.source):
            found = [part for part in ("train", *HELD_OUT) if has_rows(self.source / part)]
        parts = found if "train" in found else [""]
        notes: list[str] = []
        names = FileIndex(self.source)
        faces = [self._faces(part, names, notes) for part in parts]
        if len(faces) > 1:
            return list(chain.from_iterable(faces)), len(faces[0]), notes
        # Faces are sorted so that any held-out fraction is the end, and another fraction needs no decoding.
        ordered = sorted(faces[0], key=lambda face: split_position(face.file), reverse=True)
        held_out = hold_out([face.file for face in ordered], self.held_out_fraction)
        return ordered, len(ordered) - len(held_out), notes

    def _faces(self, part: str, names: FileIndex, notes: list[str]) -> list[Face]:
        """Return the faces of the folder or of its subfolder `part`, with files relative to the folder."""
        rows, apart, read_notes = read_rows(self.source / part, self.file_name, self.text, self.source)
        notes += read_notes
        files = names.resolve([(row.location, row.name) for row in rows], part, apart)
        faces: dict[str, Face] = {}
        elsewhere = 0
        for row, found in zip(rows, files, strict=True):
            if found is None:
                require(
                    self.skip,
                    f"{row.location} names {row.name}, which is not in {self.source / part}"
                    f"{names.hint(row.name)}: add the image or remove the row, or skip such images "
                    "with data.on_error=skip.",
                )
                if not is_inside(row.name):
                    elsewhere += 1
                    continue
            file = found or (Path(part) / row.name).as_posix()  # decoding reports a missing file
            faces.setdefault(file, Face(row.location, file)).add(row)
        if elsewhere:
            notes.append(f"{elsewhere:,} images of other folders are not in {self.source / part} and are skipped.")
        if repeated := len(rows) - elsewhere - len(faces):
            notes.append(f"{repeated:,} rows repeat an image: their texts are further captions of it.")
        return list(faces.values())


def _attributes(faces: Sequence[Face]) -> tuple[list[str], Attributes, list[str]]:
    """Return the names of attribute columns, their values as int8 (N, A), and the names of the other columns."""
    names = list(dict.fromkeys(name for face in faces for name in face.columns))
    attributes: dict[str, list[int]] = {}
    for name in names:
        values = [{attribute_value(value) for value in face.columns.get(name, [None])} for face in faces]
        found: set[int | None] = set().union(*values)
        if None in found or found == {UNKNOWN}:
            continue
        known = [face_values - {UNKNOWN} for face_values in values]
        contradictory = [face for face, face_values in zip(faces, known, strict=True) if len(face_values) > 1]
        repeated = [face for face in faces if len(face.columns.get(name, [])) > 1]
        if contradictory and (len(contradictory) < len(repeated) or name in DESCRIBED):
            raise UserError(
                f"{contradictory[0].location} and a later row of the same image have different values of {name}: "
                "correct one of them."
            )
        if contradictory:  # a column that numbers the texts of each image 0, 1
            continue
        meaning = {PRESENT: 1, ABSENT: 0, MINUS_ONE: -1 if ABSENT in found else 0, None: -1}
        attributes[name] = [meaning[next(iter(face_values), None)] for face_values in known]
    table = np.array(list(attributes.values()), np.int8).reshape(-1, len(faces)).T
    return list(attributes), np.ascontiguousarray(table), [name for name in names if name not in attributes]

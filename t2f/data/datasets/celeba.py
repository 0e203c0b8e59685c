"""CelebA: celebrities' faces with 40 attributes each, and sentences made from them.

The data set's own files are read as they are published, by its authors (`list_attr_celeba.txt`) or on Kaggle
(`list_attr_celeba.csv`).
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from t2f.data.captions.describe_all import describe_all
from t2f.data.datasets.origin import Origin
from t2f.data.datasets.photographs import Files, ImageDataset, ImageListing, first_few
from t2f.data.faces import Attributes
from t2f.data.images.formats import PICTURE_ENDINGS
from t2f.data.tables.columns import ABSENT, MINUS, PRESENT, attribute_value, names_files
from t2f.data.tables.file_names import Names
from t2f.data.tables.read import read_csv, read_text
from t2f.utils.errors import UserError, require

LAYOUT = "expected are img_align_celeba/000001.jpg, ... beside list_attr_celeba.txt or list_attr_celeba.csv"
IMAGES = ("img_align_celeba", "img_align_celeba_png")
PARTITION = "list_eval_partition"
SIGNS = {PRESENT: "1", ABSENT: "0", MINUS: "-1"}
MEND = "download that file again or mend it"


class CelebA(ImageDataset):
    """The faces of a CelebA folder, each with `captions_per_face` sentences made from the chosen `attributes`.

    The data set's own partition is used where its file is present: 0 is to train on, 1 and 2 are held out. Otherwise
    the last `held_out` faces are, as they are where `limit`, the number of faces used, leaves none of the partition's.
    `attributes` are all 40 by default; 1 present, 0 absent.
    """

    name = "celeba"
    origin = Origin(
        license="other",
        license_name="non-commercial-research",
        link="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        terms="[CelebA](https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html): photographs of celebrities, with 40 "
        "attributes each. Its agreement allows non-commercial research only. It forbids commercial use of the pictures "
        "and of whatever is derived from them, and passing any of them on. It says that the pictures were taken from "
        "the Internet and do not belong to the data set's makers. Take this model under the same terms. Sentences, "
        "where it was taught by any, were made from the attributes by rules.",
        biases="The faces are celebrities', as the press shows them. The attributes are what annotators thought they "
        "saw, with one yes or no for such as Male, Young, Attractive and Pale_Skin: judgements of their makers, not "
        "facts about the persons. Attributes that go together there, such as Young and Attractive, go together in what "
        "this model draws, also where only one was asked for.",
    )

    def __init__(
        self,
        folder: str,
        cache: str,
        resolution: int,
        crop: float = 1.0,
        attributes: Sequence[str] | None = None,
        captions_per_face: int = 4,
        held_out: float = 0.05,
        seed: int = 0,
        mirror: bool = True,
        on_error: str = "raise",
        workers: int | None = None,
        limit: int | None = None,
    ) -> None:
        counts = {"captions_per_face": captions_per_face, "limit": limit}
        super().__init__(cache, resolution, crop, held_out, mirror, on_error, workers, **counts)
        require(attributes is None or len(attributes) > 0, "data.attributes is empty: name some, or null for all.")
        self.source = Path(folder).expanduser()
        self.attributes = [attributes] if isinstance(attributes, str) else attributes
        self.captions_per_face = captions_per_face
        self.seed = seed
        self.limit = limit

    def read(self) -> ImageListing:
        table, images = self._find("list_attr_celeba"), self._images()
        if table is None or images is None:
            what = "No such folder" if not self.source.is_dir() else "No CelebA in the folder"
            raise UserError(f"{what}: {self.source} (data.folder); {LAYOUT}.")
        names, lines, values = _read_attributes(table)
        chosen = self._choose(names, table)

        present = {entry.name for entry in os.scandir(images)}
        used = list(lines)[: self.limit]
        found = {name: name for name in lines}
        pictures = Names(images, sorted(present), skip=True)
        if not present.issuperset(used):
            rows = [(f"{table}, line {line},", name) for name, line in lines.items()]
            there = pictures.resolve(rows)
            found = {name: file for name, file in zip(lines, there, strict=True) if file}
        absent = [name for name in used if name not in found]
        listed = set(found.values())
        surplus = sorted(name for name in present - listed if name.endswith((".jpg", ".png")) and name[0] != ".")
        notes = []
        if absent:
            line = f"{table}, line {lines[absent[0]]}, names {absent[0]}"
            self._tolerate(
                f"{line}, which is not in {images}{pictures.near(absent[0])}: complete the pictures, set data.limit"
            )
            notes.append(f"{len(absent):,} rows of {table} have no picture and are left out: {first_few(absent)}.")
        if surplus:
            self._tolerate(f"{table} has no row for the picture {images / surplus[0]}: {MEND}")
            notes.append(f"{len(surplus):,} pictures have no row in {table} and are left out: {first_few(surplus)}.")
        names_used, train, note = self._partition([name for name in used if name in found] if absent else used)
        row = {name: i for i, name in enumerate(lines)}
        attributes = values[np.ix_([row[name] for name in names_used], chosen)]
        files = [found[name] for name in names_used]
        chosen_names = [names[i] for i in chosen]
        captions = describe_all(
            self.cache, self.name, files, attributes, chosen_names, self.captions_per_face, self.seed, self.workers
        )
        return ImageListing(Files(images, files), train, captions, attributes, chosen_names, [*notes, *note])

    def _find(self, stem: str) -> Path | None:
        """The .txt or .csv of this name, also in the folders that the authors publish it in."""
        folders = (self.source, self.source / "Anno", self.source / "Eval")
        paths = [folder / f"{stem}.{ending}" for folder in folders for ending in ("txt", "csv")]
        return next((path for path in paths if path.is_file()), None)

    def _images(self) -> Path | None:
        """The folder of the pictures."""
        folders = (folder / name for folder in (self.source, self.source / "Img") for name in IMAGES)
        images = next((folder for folder in folders if folder.is_dir()), None)
        if images and (images / images.name).is_dir():  # Kaggle's archive nests them
            images /= images.name
        return images

    def _tolerate(self, message: str) -> None:
        """Raise, unless such faces are to be skipped."""
        require(self.skip, f"{message}, or leave such faces out with data.on_error=skip.")

    def _choose(self, names: Sequence[str], table: Path) -> list[int]:
        """The columns of the chosen attributes, in the order of the file."""
        for name in self.attributes or []:
            if name not in names:
                by_lower_case = {name.lower(): name for name in names}
                close = difflib.get_close_matches(str(name).lower(), by_lower_case, n=3)
                hint = " or ".join(by_lower_case[match] for match in close) or f"one of {', '.join(names)}"
                raise UserError(f"data.attributes names {name}, which {table} does not have: choose {hint}.")
        return [i for i, name in enumerate(names) if self.attributes is None or name in self.attributes]

    def _partition(self, files: list[str]) -> tuple[list[str], int, list[str]]:
        """The files with the training faces first, how many those are, and what to say about it."""
        by_share = max(1, round(self.share_held_out * len(files)))
        path = self._find(PARTITION)
        if path is None:
            return files, len(files) - by_share, []
        parts = _read_partition(path)
        for name in files:
            require(
                name in parts, f"{path} has no row for {name}: {MEND}, or remove it to hold out the last data.held_out."
            )
        train = [name for name in files if parts[name] == 0]
        if files and len(train) == len(files):
            note = f"{path} holds out none of these {len(files):,} faces: the last {by_share:,} are held out."
            return files, len(files) - by_share, [note]
        return train + [name for name in files if parts[name] != 0], len(train), []


def _rows(path: Path, before: int) -> tuple[list[list[str]], Iterator[tuple[int, list[str]]]]:
    """The fields of the lines before the faces, and (line number, fields) of each face, the picture's name first.

    Fields are parted by commas or the like, below a line with the columns' names, as on Kaggle; or by blanks, below
    `before` lines, as the data set's authors part them.
    """
    text = read_text(path)
    if re.search(r"[,;\t|]", text[:10_000].partition("\n")[0]):
        columns, table = read_csv(path)
        if columns[0].lower().endswith(PICTURE_ENDINGS):  # there are no names of columns
            return [], chain([(1, columns)], table)
        first = next((i for i, name in enumerate(columns) if names_files(name)), 0)
        return [columns[first + 1 :]], ((line, row[first:]) for line, row in table)
    lines = ((number, line.split()) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return [fields for _, fields in islice(lines, before)], lines


def _read_attributes(path: Path) -> tuple[list[str], dict[str, int], Attributes]:
    """The attributes' names, the pictures' lines by their names, and int8 (N, A) of 0 and 1."""
    head, rows = _rows(path, 2)
    names = head[-1] if head else []
    lines: dict[str, int] = {}
    present = bytearray()
    signs: set[str | None] = {"1"}
    for number, (name, *values) in rows:
        row: list[str | None] = [*values]
        if not {"1", "-1"}.issuperset(row):
            row = [SIGNS.get(found) if (found := attribute_value(value)) is not None else None for value in values]
        wrong = ""
        if len(row) != len(names):
            wrong = f"has {len(row)} values for {len(names)} attributes"
        elif None in row or len(signs | {*row}) > 2:  # either 0 or -1 is absent, and nothing is unknown
            wrong = "has a value other than 1 and -1"
        elif name in lines:
            wrong = f"names {name} again, after line {lines[name]}"
        if wrong:
            raise UserError(f"{path}, line {number}, {wrong}: {MEND}.")
        signs.update(row)
        lines[name] = number
        present.extend(map("1".__eq__, row))
    require(len(lines) > 0, f"{path} has no rows: {MEND}.")
    if len(head) > 1:
        count = " ".join(head[0])
        require(count == str(len(lines)), f"{path}, line 1, says {count} rows, but {len(lines)} follow: {MEND}.")
    return names, lines, np.frombuffer(present, np.int8).reshape(-1, len(names))


def _read_partition(path: Path) -> dict[str, int]:
    """0 train, 1 validation or 2 test, by the pictures' names."""
    parts = {}
    for number, row in _rows(path, 0)[1]:
        if len(row) != 2 or row[1].strip() not in ("0", "1", "2"):
            raise UserError(f"{path}, line {number}, is not a picture's name and 0, 1 or 2: {MEND}.")
        parts[row[0].strip()] = int(row[1])
    return parts

"""CelebA: celebrity faces with 40 binary attributes (Liu et al., ICCV 2015, arXiv:1411.7766).

The tables are read in the format of the authors (`list_attr_celeba.txt`) and in that of Kaggle
(`list_attr_celeba.csv`). Captions are generated from the attributes.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.captions.generate_all import generate_captions
from t2f.data.datasets.origin import Origin
from t2f.data.datasets.photographs import Files, ImageDataset, ImageListing, check_counts
from t2f.data.faces import Attributes
from t2f.data.images.formats import IMAGE_EXTENSIONS
from t2f.data.tables.columns import ABSENT, MINUS_ONE, PRESENT, attribute_value, is_file_column
from t2f.data.tables.file_names import FileIndex, first_few
from t2f.data.tables.read import read_csv, read_text
from t2f.utils.errors import UserError, require

LAYOUT = "expected img_align_celeba/000001.jpg, ... beside list_attr_celeba.txt or list_attr_celeba.csv"
IMAGES = ("img_align_celeba", "img_align_celeba_png")
PARTITION = "list_eval_partition"
SIGNS = {PRESENT: "1", ABSENT: "0", MINUS_ONE: "-1"}
REMEDY = "download that file again or repair it"


class CelebA(ImageDataset):
    """The faces of a CelebA folder, with captions generated from their attributes.

    If the folder has `list_eval_partition`, its part 0 is the training set and parts 1 and 2 are held out. If it has
    none, or if all faces within `limit` are in part 0, the last faces are held out.

    Args:
        folder: folder of `img_align_celeba/` and `list_attr_celeba.txt` or `.csv`.
        attributes: names of the attributes to use. Defaults to all 40.
        captions_per_face: number of captions of each face.
        seed: seed of the captions.
        limit: number of faces to use, from the start of the table. Defaults to all.
        **settings: see `ImageDataset`. `held_out` applies without a partition. With `on_error` "skip", images without
            a row are also omitted.

    Raises:
        ValueError: if an argument is out of range.
    """

    name = "celeba"
    origin = Origin(
        license="other",
        license_name="non-commercial-research",
        link="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        terms="[CelebA](https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html): photographs of celebrities, with 40 "
        "attributes each. Its agreement allows non-commercial research only. It forbids commercial use and "
        "redistribution of the images and of derived data. It says that the images were taken from the Internet and "
        "are not the property of the data set's authors. This model is available under the same terms. Captions, if "
        "the model was trained on any, were generated from the attributes by rules.",
        biases="The faces are those of celebrities in press photographs. The attributes, such as Male, Young, "
        "Attractive and Pale_Skin, are yes-or-no judgments of the annotators, not facts about the people. Attributes "
        "that are correlated in the data, such as Young and Attractive, are also correlated in generated faces, even "
        "if the prompt has only one of them.",
    )

    def __init__(
        self,
        folder: str,
        attributes: Sequence[str] | None = None,
        captions_per_face: int = 4,
        seed: int = 0,
        limit: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_counts(captions_per_face=captions_per_face, limit=limit)
        if attributes is not None and not attributes:
            raise ValueError("attributes is empty: list at least one, or set it to null for all.")
        self.source = Path(folder).expanduser()
        self.attributes = [attributes] if isinstance(attributes, str) else attributes
        self.captions_per_face = captions_per_face
        self.seed = seed
        self.limit = limit

    def read(self) -> ImageListing:
        table, folder = self._find_table("list_attr_celeba"), self._image_folder()
        if table is None or folder is None:
            what = "No such folder" if not self.source.is_dir() else "No CelebA in the folder"
            raise UserError(f"{what}: {self.source} (data.folder); {LAYOUT}.")
        names, lines, values = _read_attributes(table)
        columns = self._choose_columns(names, table)

        present = {entry.name for entry in os.scandir(folder)}
        used = list(lines)[: self.limit]
        found = {name: name for name in lines}
        files_present = FileIndex(folder, sorted(present))
        if not present.issuperset(used):
            resolved = files_present.resolve([(f"{table}, line {line},", name) for name, line in lines.items()])
            found = {name: file for name, file in zip(lines, resolved, strict=True) if file}
        missing = [name for name in used if name not in found]
        unlisted = sorted(
            name for name in present - set(found.values()) if name.endswith((".jpg", ".png")) and name[0] != "."
        )
        notes = []
        if missing:
            first = missing[0]
            self._require_skip(
                f"{table}, line {lines[first]}, names {first}, which is not in {folder}"
                f"{files_present.hint(first)}: add the missing images, set data.limit"
            )
            notes.append(f"{len(missing):,} rows of {table} have no image and are skipped: {first_few(missing)}.")
        if unlisted:
            self._require_skip(f"{table} has no row for the image {folder / unlisted[0]}: {REMEDY}")
            notes.append(f"{len(unlisted):,} images have no row in {table} and are skipped: {first_few(unlisted)}.")
        used, train, partition_notes = self._partition([name for name in used if name in found])
        row = {name: i for i, name in enumerate(lines)}
        attributes = values[np.ix_([row[name] for name in used], columns)]
        files = [found[name] for name in used]
        attribute_names = [names[i] for i in columns]
        captions = generate_captions(
            self.cache, self.name, files, attributes, attribute_names, self.captions_per_face, self.seed, self.workers
        )
        notes += partition_notes
        return ImageListing(Files(folder, files), train, captions, attributes, attribute_names, notes)

    def _find_table(self, stem: str) -> Path | None:
        """Find STEM.txt or STEM.csv in the folder or in the authors' folders Anno and Eval."""
        folders = (self.source, self.source / "Anno", self.source / "Eval")
        paths = [folder / f"{stem}.{ending}" for folder in folders for ending in ("txt", "csv")]
        return next((path for path in paths if path.is_file()), None)

    def _image_folder(self) -> Path | None:
        folders = (folder / name for folder in (self.source, self.source / "Img") for name in IMAGES)
        images = next((folder for folder in folders if folder.is_dir()), None)
        if images and (images / images.name).is_dir():  # Kaggle's archive nests the folder
            images /= images.name
        return images

    def _require_skip(self, message: str) -> None:
        require(self.skip, f"{message}, or skip such faces with data.on_error=skip.")

    def _choose_columns(self, names: Sequence[str], table: Path) -> list[int]:
        """Return the columns of the chosen attributes, in the order of the table."""
        for name in self.attributes or []:
            if name not in names:
                by_lower_case = {name.lower(): name for name in names}
                close = difflib.get_close_matches(str(name).lower(), by_lower_case, n=3)
                hint = " or ".join(by_lower_case[match] for match in close) or f"one of {', '.join(names)}"
                raise UserError(f"data.attributes has {name}, which is not in {table}: choose {hint}.")
        return [i for i, name in enumerate(names) if self.attributes is None or name in self.attributes]

    def _partition(self, files: list[str]) -> tuple[list[str], int, list[str]]:
        """Return the files with the training faces first, the number of training faces, and notes."""
        held_out = max(1, round(self.held_out_fraction * len(files)))
        path = self._find_table(PARTITION)
        if path is None:
            return files, len(files) - held_out, []
        parts = _read_partition(path)
        for name in files:
            require(
                name in parts,
                f"{path} has no row for {name}: {REMEDY}, or remove it to hold out the last faces by data.held_out.",
            )
        train = [name for name in files if parts[name] == 0]
        if files and len(train) == len(files):
            note = f"{path} holds out none of these {len(files):,} faces: the last {held_out:,} are held out."
            return files, len(files) - held_out, [note]
        return train + [name for name in files if parts[name] != 0], len(train), []


def _rows(path: Path, header_lines: int) -> tuple[list[list[str]], Iterator[tuple[int, list[str]]]]:
    """Return the fields of the header lines, and (line number, fields) of each face with its file name first.

    Kaggle's tables have one header line and a separator such as a comma. The authors' tables have `header_lines` lines
    before the faces and are separated by blanks.
    """
    text = read_text(path)
    if re.search(r"[,;\t|]", text[:10_000].partition("\n")[0]):
        columns, table = read_csv(path)
        if columns[0].lower().endswith(IMAGE_EXTENSIONS):  # no header line
            return [], chain([(1, columns)], table)
        first = next((i for i, name in enumerate(columns) if is_file_column(name)), 0)
        return [columns[first + 1 :]], ((line, row[first:]) for line, row in table)
    lines = ((number, line.split()) for number, line in enumerate(text.split("\n"), 1) if line.strip())
    return [fields for _, fields in islice(lines, header_lines)], lines


def _read_attributes(path: Path) -> tuple[list[str], dict[str, int], Attributes]:
    """Return the attribute names, the line numbers by file name, and int8 (N, A): 1 present, 0 absent."""
    header, rows = _rows(path, 2)
    names = header[-1] if header else []
    lines: dict[str, int] = {}
    present = bytearray()
    signs: set[str | None] = {"1"}
    for number, (name, *values) in rows:
        row: list[str | None] = [*values]
        if not {"1", "-1"}.issuperset(row):
            row = [SIGNS.get(found) if (found := attribute_value(value)) is not None else None for value in values]
        problem = ""
        if len(row) != len(names):
            problem = f"has {len(row)} values for {len(names)} attributes"
        elif None in row or len(signs | {*row}) > 2:  # a table uses either 0 or -1 for absent attributes
            problem = "has a value other than 1 and -1"
        elif name in lines:
            problem = f"repeats {name} of line {lines[name]}"
        if problem:
            raise UserError(f"{path}, line {number}, {problem}: {REMEDY}.")
        signs.update(row)
        lines[name] = number
        present.extend(map("1".__eq__, row))
    require(len(lines) > 0, f"{path} has no rows: {REMEDY}.")
    if len(header) > 1:
        count = " ".join(header[0])
        require(count == str(len(lines)), f"{path}, line 1, announces {count} rows, but {len(lines)} follow: {REMEDY}.")
    return names, lines, np.frombuffer(present, np.int8).reshape(-1, len(names))


def _read_partition(path: Path) -> dict[str, int]:
    """Return 0 (training), 1 (validation) or 2 (test) by file name."""
    parts = {}
    for number, row in _rows(path, 0)[1]:
        if len(row) != 2 or row[1].strip() not in ("0", "1", "2"):
            raise UserError(f"{path}, line {number}, is not a file name followed by 0, 1 or 2: {REMEDY}.")
        parts[row[0].strip()] = int(row[1])
    return parts

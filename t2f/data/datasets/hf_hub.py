"""Data sets of the Hugging Face Hub, and local ones that the `datasets` library reads."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.datasets.photographs import ImageDataset, ImageListing, hold_out, size_and_time, split_position
from t2f.data.images.decode import ImageSource
from t2f.data.tables.columns import SAMPLE_SIZE, is_file_column, is_missing, only_column, text_columns
from t2f.utils.errors import UserError, first_line, require
from t2f.utils.extras import needs_extra
from t2f.utils.private_api import data_fingerprints
from t2f.utils.unicode import well_formed


class HubImages(ImageSource):
    """The encoded images of rows of a data set.

    Args:
        title: name of the data set for messages.
        column: the column of images.
        parts: data sets of the library, with undecoded images.
        rows: (index in `parts`, row) of each image.
        key: a JSON value that changes with the data.
    """

    def __init__(
        self, title: str, column: str, parts: Sequence[Any], rows: Sequence[tuple[int, int]], key: Any
    ) -> None:
        self.title = title
        self.column = column
        self.parts = parts
        self.rows = rows
        self.key = key

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        part, row = self.rows[index]
        return f"The image in row {row} of {self.title} ({self.parts[part].split or 'no split'})"

    def read(self, indices: range) -> list[str | bytes]:
        rows = self.rows[indices.start : indices.stop]
        return [self._path_or_content(self.parts[part][row][self.column]) for part, row in rows]

    @staticmethod
    def _path_or_content(image: Any) -> str | bytes:
        if isinstance(image, dict):
            image = image.get("bytes") or image.get("path")
        return image or b""

    def identity(self) -> list[Any]:
        files = [(file, *size_and_time(file)) for part in self.parts for file in self._external_files(part)]
        return [self.column, self.key, self.rows, *files]

    def _external_files(self, part: Any) -> Iterator[str]:
        """Yield the paths of images that are not stored in the data set itself, without decoding."""
        for chunk in part.with_format("arrow")[:][self.column].chunks:
            if str(chunk.type) == "string":
                yield from filter(None, chunk.to_pylist())
            elif str(chunk.type).startswith("struct"):  # with the fields "bytes" and "path"
                external, paths = chunk.field("bytes").is_null().to_pylist(), chunk.field("path").to_pylist()
                yield from (path for path, is_external in zip(paths, external, strict=True) if path and is_external)


class HFHub(ImageDataset):
    """A data set that the `datasets` library loads.

    A data set that `save_to_disk` wrote without splits has the split "train" only.

    Args:
        dataset: a name on the Hugging Face Hub, or a local path.
        image: the column of images. Defaults to "image", or to the only column of images, with a note.
        text: the column of captions: strings, lists of strings or nulls. Defaults to "text", or to the only column
            that qualifies, with a note.
        split: the split to train on, such as "train" or "train[:1000]".
        held_out_split: the split that is held out. Defaults to the fraction `held_out` of the rows of `split`.
        config: the subset ("config") of a data set that has several.
        **settings: see `ImageDataset`. `held_out` applies without `held_out_split`.

    Raises:
        ValueError: if an argument is out of range.
    """

    name = "hub"

    def __init__(
        self,
        dataset: str,
        image: str | None = None,
        text: str | None = None,
        split: str = "train",
        held_out_split: str | None = None,
        config: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.dataset = dataset
        self.requested_columns = {"image": image, "text": text}
        self.image_column = image or "image"
        self.text_columns = [text or "text"]
        self.split = split
        self.held_out_split = held_out_split
        self.config = config

    def read(self) -> ImageListing:
        data = self._load(self.split)
        notes = self._choose_columns(data)
        if self.held_out_split is None:
            # Rows are sorted so that any held-out fraction is the end, and another fraction needs no decoding.
            names = [str(row) for row in range(len(data))]
            order = sorted(range(len(data)), key=lambda row: split_position(names[row]), reverse=True)
            parts: list[tuple[Any, Sequence[int]]] = [(data, order)]
            train = len(data) - len(hold_out(names, self.held_out_fraction)) if names else 0
        else:
            held_out = self._load(self.held_out_split)
            self._check_columns(held_out)
            parts = [(data, range(len(data))), (held_out, range(len(held_out)))]
            train = len(data)
        captions = []
        for part, rows in parts:
            texts = self._captions(part)
            captions += [texts[row] for row in rows]
        images = HubImages(
            self.dataset,
            self.image_column,
            [self._undecoded(part) for part, _ in parts],
            [(index, row) for index, (_, rows) in enumerate(parts) for row in rows],
            # The fingerprints as loaded: those after select and cast depend on the version of the library.
            key=data_fingerprints([part for part, _ in parts]),
        )
        return ImageListing(images, train, captions, np.zeros((len(captions), 0), np.int8), [], notes)

    def _load(self, split: str) -> Any:
        with needs_extra("data=hub", "hub"):
            datasets = importlib.import_module("datasets")
        path = Path(self.dataset).expanduser()
        try:
            if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():  # of save_to_disk
                data = datasets.load_from_disk(str(path))
                if isinstance(data, dict):
                    require(split in data, f"{path} has no split {split}: choose one of {', '.join(data)}.")
                    data = data[split]
                else:
                    require(
                        split == "train",
                        f"{path} was saved without splits and has no split {split}: set data.split=train and "
                        "data.held_out_split=null.",
                    )
            else:
                name = str(path) if path.exists() else self.dataset
                data = datasets.load_dataset(name, self.config, split=split)
        except UserError:
            raise
        except Exception as error:  # of the library, the network or the disk, without a common class
            reason = first_line(error).rstrip(".")
            raise UserError(
                f"The data set {self.dataset} cannot be loaded ({reason}): check data.dataset, data.config, data.split "
                "and data.held_out_split."
            ) from error
        return data.with_format(None)

    def _choose_columns(self, data: Any) -> list[str]:
        """Choose the columns of images and texts, and return notes about those with other names."""
        where, notes = f"the data set {self.dataset}", []
        if self.requested_columns["image"] is None and "image" not in data.column_names:
            datasets = importlib.import_module("datasets")
            columns = [name for name, feature in data.features.items() if isinstance(feature, datasets.Image)]
            if candidates := columns or list(filter(is_file_column, data.column_names)):
                self.image_column, note = only_column(candidates, "image", "The images are", where)
                notes.append(note)
        if self.requested_columns["text"] is None:
            others = [name for name in data.column_names if name != self.image_column and _is_text(data.features[name])]
            sample = data.select_columns(others).select(range(min(len(data), SAMPLE_SIZE)))[:] if others else {}
            texts, text_note = text_columns({name: sample[name] for name in others}, None, where)
            self.text_columns = texts or self.text_columns
            notes += [text_note] if text_note else []
        self._check_columns(data)
        return notes

    def _check_columns(self, data: Any) -> None:
        """Raise `UserError` if a split lacks a column."""
        for key, column in (("image", self.image_column), *(("text", text) for text in self.text_columns)):
            require(
                column in data.column_names,
                f"The data set {self.dataset} has no column {column}: set data.{key} to one of "
                f"{', '.join(data.column_names)}.",
            )

    def _undecoded(self, data: Any) -> Any:
        """Return the data set with its images as paths or file contents."""
        datasets = importlib.import_module("datasets")
        feature = data.features[self.image_column]
        if isinstance(feature, datasets.Image):
            column = datasets.Image(decode=False)
            return data.select_columns([self.image_column]).cast_column(self.image_column, column)
        if getattr(feature, "dtype", None) in ("binary", "large_binary", "string"):
            return data
        raise UserError(
            f"The column {self.image_column} of {self.dataset} has no images: set data.image to a column of images."
        )

    def _captions(self, data: Any) -> list[list[str]]:
        columns = data.select_columns(self.text_columns)[:]
        captions: list[list[str]] = [[] for _ in columns[self.text_columns[0]]]
        for name in self.text_columns:
            for row, value in enumerate(columns[name]):
                texts = value if isinstance(value, list) else [value]
                require(
                    all(isinstance(text, str | None) for text in texts),
                    f"Row {row} of {self.dataset} has a {name} that is neither a string nor a list of strings: "
                    "set data.text to another column.",
                )
                captions[row] += [well_formed(text.strip()) for text in texts if not is_missing(text)]
        return captions


def _is_text(feature: Any) -> bool:
    """Return whether a column may contain strings or lists of strings."""
    return getattr(getattr(feature, "feature", feature), "dtype", None) in ("string", "large_string", "null")

"""Any data set of the `datasets` library that has pictures and texts."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.datasets.photographs import ImageDataset, ImageListing, hold_out, place, size_and_time
from t2f.data.images.decode import Pictures
from t2f.data.tables.columns import SAMPLE, is_missing, names_files, only, text_columns
from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command
from t2f.utils.unicode import well_formed


class Rows(Pictures):
    """The pictures of some rows of a data set, in this order. Nothing is decoded."""

    def __init__(self, title: str, image: str, parts: Sequence[Any], rows: Sequence[tuple[int, int]], key: Any) -> None:
        """`rows`: (part, row). `key` changes with the data."""
        self.title = title
        self.image = image
        self.parts = parts
        self.rows = rows
        self.key = key

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        part, row = self.rows[index]
        return f"The picture in row {row} of {self.title} ({self.parts[part].split or 'no split'})"

    def read(self, part: range) -> list[str | bytes]:
        return [self._content(self.parts[i][row][self.image]) for i, row in self.rows[part.start : part.stop]]

    @staticmethod
    def _content(picture: Any) -> str | bytes:
        if isinstance(picture, dict):
            picture = picture.get("bytes") or picture.get("path")
        return picture or b""

    def identity(self) -> list[Any]:
        files = [(file, *size_and_time(file)) for part in self.parts for file in self._files(part)]
        return [self.image, self.key, self.rows, *files]

    def _files(self, part: Any) -> Iterator[str]:
        """The paths of those pictures that are not in the data set itself, found without decoding any."""
        for chunk in part.with_format("arrow")[:][self.image].chunks:
            if str(chunk.type) == "string":
                yield from filter(None, chunk.to_pylist())
            elif str(chunk.type).startswith("struct"):  # of "bytes" and "path"
                absent, paths = chunk.field("bytes").is_null().to_pylist(), chunk.field("path").to_pylist()
                yield from (path for path, alone in zip(paths, absent, strict=True) if path and alone)


class HFHub(ImageDataset):
    """The rows of a data set: a name on the Hugging Face hub, or a local path that `datasets` can read.

    `image` is its column of pictures, `text` that of captions: each a string, a list of strings, or nothing. Where they
    are None, the columns image and text are taken, or else the only ones that can be meant, with a note. `config` is
    what the hub calls a subset. `held_out_split` is held out; where it is None, a share `held_out` of the rows is.
    A data set that `save_to_disk` wrote in one piece has no splits: all of it is "train".
    """

    name = "hub"

    def __init__(
        self,
        dataset: str,
        cache: str,
        resolution: int,
        image: str | None = None,
        text: str | None = None,
        split: str = "train",
        held_out_split: str | None = None,
        config: str | None = None,
        crop: float = 1.0,
        held_out: float = 0.05,
        mirror: bool = True,
        on_error: str = "raise",
        workers: int | None = None,
    ) -> None:
        super().__init__(cache, resolution, crop, held_out, mirror, on_error, workers)
        self.dataset = dataset
        self.chosen = {"image": image, "text": text}
        self.image = image or "image"
        self.texts = [text or "text"]
        self.split = split
        self.held_out_split = held_out_split
        self.config = config

    def read(self) -> ImageListing:
        data = self._load(self.split)
        notes = self._choose_columns(data)
        if self.held_out_split is None:
            # In this order any share held out is the end, so that another share needs no decoding.
            names = [str(row) for row in range(len(data))]
            order = sorted(range(len(data)), key=lambda row: place(names[row]), reverse=True)
            parts: list[tuple[Any, Sequence[int]]] = [(data, order)]
            train = len(data) - len(hold_out(names, self.share_held_out)) if names else 0
        else:
            other = self._load(self.held_out_split)
            self._check_columns(other)
            parts = [(data, range(len(data))), (other, range(len(other)))]
            train = len(data)
        captions = []
        for some, rows in parts:
            texts = self._texts(some)
            captions += [texts[row] for row in rows]
        pictures = Rows(
            self.dataset,
            self.image,
            [self._undecoded(some) for some, _ in parts],
            [(part, row) for part, (_, rows) in enumerate(parts) for row in rows],
            # of the data as they were loaded: selecting and casting give others, which follow the library's version
            key=[some._fingerprint for some, _ in parts],
        )
        return ImageListing(pictures, train, captions, np.zeros((len(captions), 0), np.int8), [], notes)

    def _load(self, split: str) -> Any:
        try:
            datasets = importlib.import_module("datasets")
        except ImportError as error:
            raise UserError(f"data=hub needs the library datasets: {install_command('hub')}.") from error
        path = Path(self.dataset).expanduser()
        try:
            if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():  # written by save_to_disk
                data = datasets.load_from_disk(str(path))
                if isinstance(data, dict):
                    require(split in data, f"{path} has no split {split}: choose one of {', '.join(data)}.")
                    data = data[split]
                else:
                    self._check_without_splits(path)
            else:
                name = str(path) if path.exists() else self.dataset
                data = datasets.load_dataset(name, self.config, split=split)
        except UserError:
            raise
        except Exception as error:  # of the library, of the network or of the disk: they have no common class
            reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
            raise UserError(
                f"The data set {self.dataset} cannot be loaded ({reason}): check data.dataset, data.config, data.split "
                "and data.held_out_split."
            ) from error
        return data.with_format(None)

    def _choose_columns(self, data: Any) -> list[str]:
        """Set the columns of pictures and texts; return sentences that name those that are not called so."""
        where, notes = f"the data set {self.dataset}", []
        if self.chosen["image"] is None and "image" not in data.column_names:
            datasets = importlib.import_module("datasets")
            pictures = [name for name, feature in data.features.items() if isinstance(feature, datasets.Image)]
            if found := pictures or list(filter(names_files, data.column_names)):
                self.image, note = only(found, "image", "The pictures are", where)
                notes.append(note)
        if self.chosen["text"] is None:
            others = [name for name, feature in data.features.items() if name != self.image and _is_text(feature)]
            sample = data.select_columns(others).select(range(min(len(data), SAMPLE)))[:] if others else {}
            texts, text_note = text_columns({name: sample[name] for name in others}, None, where)
            self.texts = texts or self.texts
            notes += [text_note] if text_note else []
        self._check_columns(data)
        return notes

    def _check_columns(self, data: Any) -> None:
        """Raise if a part of the data set has not the columns of pictures and texts."""
        for key, column in (("image", self.image), *(("text", text) for text in self.texts)):
            require(
                column in data.column_names,
                f"The data set {self.dataset} has no column {column}: set data.{key} to one of "
                f"{', '.join(data.column_names)}.",
            )

    def _check_without_splits(self, path: Path) -> None:
        """Raise if a part is asked of a saved data set that is in one piece."""
        one = f"{path} was saved in one piece"
        require(
            self.held_out_split is None,
            f"{one} and has no split {self.held_out_split}: set data.held_out_split=null to hold out the share "
            "data.held_out of its rows.",
        )
        require(
            self.split == "train", f"{one} and has no split {self.split}: set data.split=train for all of its rows."
        )

    def _undecoded(self, data: Any) -> Any:
        """The pictures as the content of files, or as paths."""
        datasets = importlib.import_module("datasets")
        feature = data.features[self.image]
        if isinstance(feature, datasets.Image):
            return data.select_columns([self.image]).cast_column(self.image, datasets.Image(decode=False))
        if getattr(feature, "dtype", None) in ("binary", "large_binary", "string"):
            return data
        raise UserError(
            f"The column {self.image} of {self.dataset} holds no pictures: set data.image to one that does."
        )

    def _texts(self, data: Any) -> list[list[str]]:
        columns = data.select_columns(self.texts)[:]
        captions: list[list[str]] = [[] for _ in columns[self.texts[0]]]
        for name in self.texts:
            for row, text in enumerate(columns[name]):
                texts = text if isinstance(text, list) else [text]
                require(
                    all(isinstance(text, str | None) for text in texts),
                    f"Row {row} of {self.dataset} has a {name} that is neither a string nor a list of strings: "
                    "set data.text to another column.",
                )
                captions[row] += [well_formed(text.strip()) for text in texts if not is_missing(text)]
        return captions


def _is_text(feature: Any) -> bool:
    """Whether a column may hold strings, or lists of them."""
    return getattr(getattr(feature, "feature", feature), "dtype", None) in ("string", "large_string", "null")

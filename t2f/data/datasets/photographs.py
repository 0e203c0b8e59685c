"""What the sources of photographs have in common: their settings, their image cache and their split.

The image cache of a source is a folder named after its picture files (by name, size and time), the crop and the
resolution, with two files:

    images.npy   uint8 (N, 3, R, R), memory-mapped: the pictures that can be decoded, training faces first
    about.json   the settings that made it, and the index of each picture that was left out, with the reason

Captions and attributes are not kept in it. They are read from the source at each start, so that other captions or
attributes need no decoding.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.captions.lazy import Captions, Chosen
from t2f.data.datasets.origin import OWN, Origin
from t2f.data.faces import Attributes, Faces, damage_told, fingerprint, side_folder
from t2f.data.images.decode import RULES, Crop, Pictures, decode_all
from t2f.utils.errors import UserError, require
from t2f.utils.unicode import well_formed


@dataclass(frozen=True)
class ImageListing:
    """All that a source knows before a picture is decoded: N pictures and their labels, training faces first."""

    pictures: Pictures
    train: int  # so many are to train on, the rest is held out
    captions: Captions
    attributes: Attributes  # int8 (N, A)
    attribute_names: Sequence[str]
    notes: Sequence[str] = ()  # sentences for the terminal


class Files:
    """Picture files, by their names below a folder."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        return os.path.join(self.folder, self.names[index])

    def read(self, part: range) -> list[str]:
        return [self.name(index) for index in part]

    def identity(self) -> list[Any]:
        files = [(name, *size_and_time(self.name(index))) for index, name in enumerate(self.names)]
        return [str(self.folder.resolve()), files]


def size_and_time(file: str) -> tuple[int, int]:
    """Two numbers that change with a file: -1 where there is none, of which decoding will tell."""
    try:
        stat = os.stat(file)
    except (OSError, ValueError):  # ValueError: for a name that no file can have
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


class ImageDataset(ABC):
    """A source of photographs, decoded once by `workers` processes (default: one a CPU, at most 8) into `cache`.

    crop      the side of the central square that is kept, as a share of the picture's width
    mirror    whether training pictures may be mirrored at random
    on_error  "raise": a picture that is missing or broken ends the run; "skip": it is left out and counted

    Raises `UserError` for a setting out of range at once, and for what is wrong with the data when it is read.
    """

    name: str
    origin: Origin = OWN

    def __init__(
        self,
        cache: str,
        resolution: int,
        crop: Crop,
        held_out: float,
        mirror: bool,
        on_error: str,
        workers: int | None,
        **counts: int | None,
    ) -> None:
        require(
            resolution >= 4 and not resolution & (resolution - 1),
            f"data.resolution is {resolution}: it must be a power of two, 4 or more.",
        )
        shares: list[Any] = list(crop.values()) if isinstance(crop, dict) else [crop]
        require(
            all(isinstance(share, float | int) and share is not True and 0 < share <= 1 for share in shares),
            f"data.crop is {crop}: it must be a share of the width, a number above 0 and at most 1.",
        )
        require(0 < held_out < 1, f"data.held_out is {held_out}: it must be a share of the faces, above 0 and below 1.")
        require(on_error in ("raise", "skip"), f"data.on_error is {on_error}: it must be raise or skip.")
        for key, count in {"workers": workers, **counts}.items():
            require(count is None or count >= 1, f"data.{key} is {count}: it must be at least 1.")
        self.cache = Path(cache)
        self.resolution = resolution
        self.crop = float(crop) if isinstance(crop, int) else crop
        self.share_held_out = held_out
        self.mirror = mirror
        self.on_error = on_error
        self.workers = workers or min(8, os.cpu_count() or 1)
        self.said: set[str] = set()

    @property
    def skip(self) -> bool:
        return self.on_error == "skip"

    @abstractmethod
    def read(self) -> ImageListing:
        """The pictures and their labels, from the source."""

    @cached_property
    def listing(self) -> ImageListing:
        try:
            listing = self.read()
        except OSError as error:
            raise UserError(
                f"{error.filename or f'The data set {self.name}'} cannot be read ({error.strerror or error}): check "
                "data.*, that name, and the rights of the file and of its folder."
            ) from error
        self._check_split(listing.train, len(listing.pictures))
        return listing

    def _check_split(self, train: int, total: int) -> None:
        for purpose, count in (("to train on", train), ("to hold out", total - train)):
            require(
                count > 0,
                f"The data set {self.name} leaves no face {purpose}, of {total:,} in all: "
                "add faces, or change data.held_out or its own split.",
            )

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the image cache depends on."""
        identity = json.dumps(self.listing.pictures.identity())
        return {
            "pictures": hashlib.sha256(identity.encode()).hexdigest(),
            "crop": self.crop,
            "resolution": self.resolution,
            "on_error": self.on_error,
            "rules": RULES,
        }

    @property
    def folder(self) -> Path:
        """The image cache."""
        return self.cache / f"{self.name}-{fingerprint(self.settings)}"

    def prepare(self) -> None:
        """Decode the pictures into the cache, unless they are there; print the notes and what is left out, once."""
        self._say(*self.listing.notes)
        pictures = self.listing.pictures
        if not self.folder.is_dir():
            with side_folder(self.folder) as side:
                bad = decode_all(side / "images.npy", pictures, self.resolution, self.crop, self.on_error, self.workers)
                about = {"settings": self.settings, "pictures": len(pictures), "left_out": sorted(bad.items())}
                (side / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        if left_out := self._left_out():
            some = first_few(f"{pictures.name(index)} ({reason})" for index, reason in left_out.items())
            self._say(f"{len(left_out):,} of {len(pictures):,} pictures cannot be decoded and are left out: {some}.")

    def _say(self, *sentences: str) -> None:
        """Print those that have not been printed."""
        for sentence in sentences:
            if sentence not in self.said:
                print(well_formed(sentence))
        self.said.update(sentences)

    def _left_out(self) -> dict[int, str]:
        """Which pictures are not in the cache, and why."""
        with damage_told(self.folder):
            about = json.loads((self.folder / "about.json").read_text(encoding="utf-8"))
            return dict(about["left_out"])

    def __getstate__(self) -> dict[str, Any]:
        # Another process opens the cache itself: a memory map would be sent whole.
        return {name: value for name, value in self.__dict__.items() if name != "_split"}

    @cached_property
    def _split(self) -> tuple[Faces, int]:
        """All faces of the cache, and how many of them are to train on."""
        listing, left_out = self.listing, self._left_out()
        with damage_told(self.folder):
            images = np.load(self.folder / "images.npy", mmap_mode="r")
            if len(images) + len(left_out) != len(listing.pictures):
                raise ValueError(f"it holds {len(images):,} images")
        kept = [index for index in range(len(listing.pictures)) if index not in left_out]
        train = sum(index < listing.train for index in kept)
        self._check_split(train, len(kept))
        captions = Chosen(listing.captions, kept) if left_out else listing.captions
        return Faces(images, captions, listing.attributes[kept], listing.attribute_names), train

    @property
    def train(self) -> Faces:
        """The faces to train on."""
        faces, train = self._split
        return faces[:train]

    @property
    def held_out(self) -> Faces:
        """The faces after them."""
        faces, train = self._split
        return faces[train:]


def first_few(things: Iterable[str]) -> str:
    """a, b, c, ..."""
    some = list(islice(things, 4))
    return ", ".join([*some[:3], *(["..."] if len(some) > 3 else [])])


def place(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int(hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:13], 16) / 16**13


def hold_out(names: Iterable[str], share: float) -> set[str]:
    """About this share of the names, at least one: those with the least `place`.

    A name that is held out stays so when others are added, except where it was the only one.
    """
    places = {name: place(name) for name in names}
    return {name for name in places if places[name] < share} or {min(places, key=places.__getitem__)}

"""Base class of photographic data sets: settings, image cache and split.

The image cache is a folder named after its image files (by name, size and modification time), the crop and the
resolution. It has two files:

    images.npy   uint8 (N, 3, R, R), memory-mapped: the images that can be decoded, training images first
    about.json   the settings of the cache, and the index and the error of each image that was skipped

Captions and attributes are not cached. They are read from their source at each start, so that a change of them needs
no decoding.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from t2f.data.captions.lazy import Captions, take
from t2f.data.datasets.origin import UNKNOWN_ORIGIN, Origin
from t2f.data.faces import Attributes, Faces, atomic_folder, cache_read_errors, fingerprint
from t2f.data.images.decode import CACHE_VERSION, Crop, ImageSource, decode_all
from t2f.data.tables.file_names import first_few
from t2f.utils.errors import UserError, require
from t2f.utils.unicode import well_formed


@dataclass(frozen=True)
class ImageListing:
    """The N encoded images of a data set and their labels, training images first.

    Args:
        images: the encoded images.
        train: number of training images; the others are held out.
        captions: N lists of sentences.
        attributes: int8 (N, A): 1 present, 0 absent, -1 unknown.
        attribute_names: the A names.
        notes: sentences to print once.
    """

    images: ImageSource
    train: int
    captions: Captions
    attributes: Attributes
    attribute_names: Sequence[str]
    notes: Sequence[str] = ()


class Files:
    """Image files in a folder.

    Args:
        folder: the folder.
        names: paths relative to it.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    def name(self, index: int) -> str:
        """Return the path of an image."""
        return os.path.join(self.folder, self.names[index])

    def read(self, indices: range) -> list[str]:
        """Return the paths of images."""
        return [self.name(index) for index in indices]

    def identity(self) -> list[Any]:
        """Return the folder, and the name, size and modification time of each file."""
        files = [(name, *size_and_time(self.name(index))) for index, name in enumerate(self.names)]
        return [str(self.folder.resolve()), files]


def size_and_time(file: str) -> tuple[int, int]:
    """Return the size of a file in bytes and its modification time in nanoseconds, or (-1, -1) for a missing file."""
    try:
        stat = os.stat(file)
    except (OSError, ValueError):  # ValueError: the name is not a valid file name
        return -1, -1
    return stat.st_size, stat.st_mtime_ns


class ImageDataset(ABC):
    """A data set of photographs, decoded once into an image cache.

    Subclasses implement `read`. They set `name`, and `origin` for model cards.

    Args:
        cache: folder of the image caches.
        resolution: side of the decoded images in pixels, a power of two.
        crop: side of the central square as a fraction of the image width in (0, 1], or fractions by image width.
        held_out: fraction of the faces that is held out, in (0, 1).
        mirror: whether training images may be mirrored at random.
        on_error: "raise" to stop at a missing or damaged image, "skip" to omit and count such images.
        workers: number of decoding processes. Defaults to the number of CPUs, at most 8.

    Raises:
        ValueError: if an argument is out of range.
    """

    name: str
    origin: Origin = UNKNOWN_ORIGIN

    def __init__(
        self,
        cache: str,
        resolution: int,
        crop: Crop = 1.0,
        held_out: float = 0.05,
        mirror: bool = True,
        on_error: str = "raise",
        workers: int | None = None,
    ) -> None:
        check_resolution(resolution)
        fractions: list[Any] = list(crop.values()) if isinstance(crop, dict) else [crop]
        if not all(isinstance(each, float | int) and each is not True and 0 < each <= 1 for each in fractions):
            raise ValueError(f"crop must be a fraction of the width, above 0 and at most 1, but is {crop}.")
        if not 0 < held_out < 1:
            raise ValueError(f"held_out must be a fraction of the faces, above 0 and below 1, but is {held_out}.")
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be raise or skip, but is {on_error}.")
        check_counts(workers=workers)
        self.cache = Path(cache)
        self.resolution = resolution
        self.crop = float(crop) if isinstance(crop, int) else crop
        self.held_out_fraction = held_out
        self.mirror = mirror
        self.on_error = on_error
        self.workers = workers or default_workers()
        self._printed: set[str] = set()

    @property
    def skip(self) -> bool:
        """Whether missing and damaged images are omitted."""
        return self.on_error == "skip"

    @abstractmethod
    def read(self) -> ImageListing:
        """List the images and read their labels.

        Raises:
            UserError: if a table or a file is missing or malformed.
        """

    @cached_property
    def listing(self) -> ImageListing:
        """The images and their labels.

        Raises:
            UserError: if the source cannot be read, or no face is left to train on or to hold out.
        """
        try:
            listing = self.read()
        except OSError as error:
            raise UserError(
                f"{error.filename or f'The data set {self.name}'} cannot be read ({error.strerror or error}): check "
                "data.*, that name, and the permissions of the file and of its folder."
            ) from error
        self._check_split(listing.train, len(listing.images))
        return listing

    def _check_split(self, train: int, total: int) -> None:
        for purpose, count in (("to train on", train), ("to hold out", total - train)):
            require(
                count > 0,
                f"The data set {self.name} leaves no face {purpose}, of {total:,} in total: "
                "add faces, or change data.held_out or the split of the data set.",
            )

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that the image cache depends on."""
        identity = json.dumps(self.listing.images.identity())
        return {
            "pictures": hashlib.sha256(identity.encode()).hexdigest(),
            "crop": self.crop,
            "resolution": self.resolution,
            "on_error": self.on_error,
            "rules": CACHE_VERSION,
        }

    @property
    def folder(self) -> Path:
        """The folder of the image cache."""
        return self.cache / f"{self.name}-{fingerprint(self.settings)}"

    def prepare(self) -> None:
        """Decode the images unless they are cached. Print the notes and the number of skipped images once.

        Raises:
            UserError: if an image cannot be decoded and `on_error` is "raise", if no image can be decoded, or if the
                cache cannot be written.
        """
        self._print_once(*self.listing.notes)
        images = self.listing.images
        if not self.folder.is_dir():
            with atomic_folder(self.folder) as temporary:
                path = temporary / "images.npy"
                skipped = decode_all(path, images, self.resolution, self.crop, self.on_error, self.workers)
                about = {"settings": self.settings, "pictures": len(images), "left_out": sorted(skipped.items())}
                (temporary / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
        if skipped := self._skipped():
            examples = first_few(f"{images.name(index)} ({reason})" for index, reason in skipped.items())
            count = f"{len(skipped):,} of {len(images):,}"
            self._print_once(f"{count} images cannot be decoded and are skipped: {examples}.")

    def _print_once(self, *sentences: str) -> None:
        for sentence in sentences:
            if sentence not in self._printed:
                print(well_formed(sentence))
        self._printed.update(sentences)

    def _skipped(self) -> dict[int, str]:
        """Return the reasons of the images that are not in the cache, by index."""
        with cache_read_errors(self.folder):
            about = json.loads((self.folder / "about.json").read_text(encoding="utf-8"))
            return dict(about["left_out"])

    def __getstate__(self) -> dict[str, Any]:
        # A memory-mapped array would be pickled whole, so another process opens the cache itself.
        return {name: value for name, value in self.__dict__.items() if name != "_split"}

    @cached_property
    def _split(self) -> tuple[Faces, int]:
        """All cached faces, and the number of training faces."""
        listing, skipped = self.listing, self._skipped()
        with cache_read_errors(self.folder):
            images = np.load(self.folder / "images.npy", mmap_mode="r")
            if len(images) + len(skipped) != len(listing.images):
                raise ValueError(f"it has {len(images):,} images")
        cached = [index for index in range(len(listing.images)) if index not in skipped]
        train = sum(index < listing.train for index in cached)
        self._check_split(train, len(cached))
        captions = take(listing.captions, cached) if skipped else listing.captions
        return Faces(images, captions, listing.attributes[cached], listing.attribute_names), train

    @property
    def train(self) -> Faces:
        """The training faces."""
        faces, train = self._split
        return faces[:train]

    @property
    def held_out(self) -> Faces:
        """The held-out faces."""
        faces, train = self._split
        return faces[train:]


def check_resolution(resolution: int) -> None:
    """Raise `ValueError` unless a resolution is a power of two of at least 4."""
    if resolution < 4 or resolution & (resolution - 1):
        raise ValueError(f"resolution must be a power of two, at least 4, but is {resolution}.")


def check_counts(**counts: int | None) -> None:
    """Raise `ValueError` unless each of these arguments is at least 1 or None."""
    for argument, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{argument} must be at least 1, but is {count}.")


def default_workers() -> int:
    """Return the default number of processes: the number of CPUs, at most 8."""
    return min(8, os.cpu_count() or 1)


def split_position(name: str) -> float:
    """Return a pseudorandom number in [0, 1) that depends on the name only. The lowest are held out."""
    return int(hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:13], 16) / 16**13


def hold_out(names: Iterable[str], fraction: float) -> set[str]:
    """Choose the names to hold out: about this fraction of them, and at least one.

    The choice depends on each name alone, so a held-out name remains held out when names are added. The exception is
    a name that is held out only because none is below the fraction.
    """
    positions = {name: split_position(name) for name in names}
    below = {name for name in positions if positions[name] < fraction}
    return below or {min(positions, key=positions.__getitem__)}

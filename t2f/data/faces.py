"""The sample contract, and the memory-mapped cache that every data set is decoded into.

A face is a uint8 image, its captions (none where nobody has described it), and optionally an attribute
vector. A cache is a folder, written to the side and renamed when whole, so a half-written cache is never
read. That of drawn faces holds four files:

    images.npy       uint8 (N, 3, R, R), memory-mapped, R the master resolution
    captions.json    N lists of one or more sentences
    attributes.npy   int8 (N, A): 1 present, 0 absent, -1 cannot be told from the picture
    about.json       the settings that made it, and the names of the A attributes

That of photographs holds `images.npy` and `about.json` alone: see `t2f.data.datasets.photographs`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from t2f.data.captions.lazy import Captions, identity
from t2f.utils.errors import UserError, disk_errors

Images = npt.NDArray[np.uint8]
Attributes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Faces:
    """A set of faces: uint8 images (N, 3, R, R), N lists of captions, int8 attributes (N, A).

    A face without description has an empty list. A data set without attributes has A = 0. Reading a caption may have
    all of them written first.
    """

    images: Images
    captions: Captions
    attributes: Attributes
    attribute_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice) -> Faces:
        """The faces of a slice, still memory-mapped."""
        return Faces(self.images[part], self.captions[part], self.attributes[part], self.attribute_names)


def fingerprint(settings: dict[str, Any]) -> str:
    """12 hexadecimal digits that change with any of the settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def labels_checksum(faces: Faces) -> str:
    """12 hexadecimal digits that change with any caption or attribute."""
    attributes = hashlib.sha256(faces.attributes.tobytes()).hexdigest()
    return fingerprint({"captions": identity(faces.captions), "attributes": attributes})


def checksum(images: Images) -> str:
    """12 hexadecimal digits that change with any pixel, and with the shape."""
    digest = hashlib.sha256(str(images.shape).encode())
    for start in range(0, len(images), 4096):  # a memory map need not fit in memory
        digest.update(np.ascontiguousarray(images[start : start + 4096]).data)
    return digest.hexdigest()[:12]


@contextmanager
def damage_told(folder: Path) -> Iterator[None]:
    """Turn the errors of reading a cache into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
        raise UserError(f"The image cache {folder} is damaged ({error}): delete that folder and run again.") from error


def open_cache(folder: Path) -> Faces:
    """The faces of a finished cache, their images memory-mapped read-only."""
    with damage_told(folder):
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return Faces(
            images=np.load(folder / "images.npy", mmap_mode="r"),
            captions=json.loads((folder / "captions.json").read_text(encoding="utf-8")),
            attributes=np.load(folder / "attributes.npy"),
            attribute_names=about["attributes"],
        )


@contextmanager
def side_folder(folder: Path) -> Iterator[Path]:
    """Give a folder beside `folder`; rename it to `folder` when the block ends well."""
    with disk_errors(f"the image cache {folder}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        side = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            yield side
            side.chmod(0o755)
            try:
                side.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise  # otherwise another process made the same cache first, and ours is not needed
        finally:
            shutil.rmtree(side, ignore_errors=True)


@contextmanager
def writing_cache(folder: Path, shape: tuple[int, int, int, int]) -> Iterator[tuple[Path, Images]]:
    """Give a side folder and its writable `images.npy`; rename it to `folder` when the block ends well.

    The caller fills the images and writes the three other files with `write_labels`.
    """
    with side_folder(folder) as side:
        images = np.lib.format.open_memmap(side / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):  # or a full disk would end the process while the pages are written
            with (side / "images.npy").open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.path.getsize(side / "images.npy"))
        yield side, images
        images.flush()


def write_images(path: Path, resolution: int, parts: Iterable[Images]) -> int:
    """Write an `images.npy` whose number of faces is known only at its end, and return that number."""

    def header(count: int) -> bytes:
        buffer = io.BytesIO()
        shape = (count, 3, resolution, resolution)
        np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return buffer.getvalue()  # numpy pads it, so that any number of faces fits the same bytes

    count = 0
    with path.open("wb") as file:
        file.write(header(0))
        for images in parts:
            file.write(np.ascontiguousarray(images).data)
            count += len(images)
        file.seek(0)
        file.write(header(count))
    return count


def write_labels(
    side: Path,
    captions: Sequence[Sequence[str]],
    attributes: Attributes,
    names: Sequence[str],
    settings: dict[str, Any],
) -> None:
    """Write what goes beside the images of a cache."""
    np.save(side / "attributes.npy", attributes)
    (side / "captions.json").write_text(json.dumps(captions, ensure_ascii=False), encoding="utf-8")
    about = {"attributes": list(names), "settings": settings}
    (side / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")

"""The sample contract, and the memory-mapped cache that every data set is decoded into.

A face is a uint8 image, one or more captions, and optionally an attribute vector. A cache is a
folder with four files, written to the side and renamed when whole, so a half-written cache is
never read:

    images.npy       uint8 (N, 3, R, R), memory-mapped, R the master resolution
    captions.json    N lists of one or more sentences
    attributes.npy   int8 (N, A): 1 present, 0 absent, -1 cannot be told from the picture
    about.json       the settings that made it, and the names of the A attributes
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from t2f.errors import UserError, disk_errors

if TYPE_CHECKING:  # the processes that draw faces start sooner without torch
    from torch import Tensor

Batch = dict[str, "Tensor"]
"""{"images": uint8 (B, 3, R, R), "tokens": int64 (B, L)}"""

Images = npt.NDArray[np.uint8]
Attributes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Faces:
    """A set of faces: uint8 images (N, 3, R, R), N lists of captions, int8 attributes (N, A)."""

    images: Images
    captions: Sequence[Sequence[str]]
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


def open_cache(folder: Path) -> Faces:
    """The faces of a finished cache, their images memory-mapped read-only."""
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return Faces(
            images=np.load(folder / "images.npy", mmap_mode="r"),
            captions=json.loads((folder / "captions.json").read_text(encoding="utf-8")),
            attributes=np.load(folder / "attributes.npy"),
            attribute_names=about["attributes"],
        )
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
        raise UserError(f"The image cache {folder} is damaged ({error}): delete that folder and run again.") from error


@contextmanager
def writing_cache(folder: Path, shape: tuple[int, int, int, int]) -> Iterator[tuple[Path, Images]]:
    """Give a side folder and its writable `images.npy`; rename it to `folder` when the block ends well.

    The caller fills the images and writes the three other files with `write_labels`.
    """
    with disk_errors(f"the image cache {folder}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        side = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            images = np.lib.format.open_memmap(side / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
            if hasattr(os, "posix_fallocate"):  # or a full disk would end the process while the pages are written
                with (side / "images.npy").open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, os.path.getsize(side / "images.npy"))
            yield side, images
            images.flush()
            side.chmod(0o755)
            try:
                side.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise  # otherwise another process made the same cache first, and ours is not needed
        finally:
            shutil.rmtree(side, ignore_errors=True)


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

"""The sample type of all data sets, and their memory-mapped image cache.

A sample is a uint8 image, a list of captions (may be empty) and an optional attribute vector. The cache of a data set
is a folder. It is written under a temporary name and renamed when complete, so that a partial cache is never read. The
cache of synthetic faces holds four files:

    images.npy       uint8 (N, 3, R, R), memory-mapped, R the master resolution
    captions.json    N lists of one or more sentences
    attributes.npy   int8 (N, A): 1 present, 0 absent, -1 not visible in the image
    about.json       the settings of the cache and the names of the A attributes

The cache of photographs holds `images.npy` and `about.json` only: see `t2f.data.datasets.photographs`.
"""

from __future__ import annotations

import hashlib
import io
import json
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

from t2f.data.captions.lazy import Captions, fingerprint_data
from t2f.utils.errors import UserError, disk_errors

Images = npt.NDArray[np.uint8]
Attributes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Faces:
    """N face images with captions and attributes.

    Args:
        images: uint8 (N, 3, R, R), usually memory-mapped.
        captions: N lists of sentences, empty for a face without description. They may be generated on first access.
        attributes: int8 (N, A): 1 present, 0 absent, -1 unknown. A is 0 for a data set without attributes.
        attribute_names: the A names.
    """

    images: Images
    captions: Captions
    attributes: Attributes
    attribute_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, part: slice) -> Faces:
        """Return the faces of a slice. Its images remain memory-mapped."""
        return Faces(self.images[part], self.captions[part], self.attributes[part], self.attribute_names)


def fingerprint(settings: dict[str, Any]) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of JSON settings. Key order does not matter."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def labels_checksum(faces: Faces) -> str:
    """Return 12 hexadecimal digits that identify the captions and attributes."""
    attributes = hashlib.sha256(faces.attributes.tobytes()).hexdigest()
    return fingerprint({"captions": fingerprint_data(faces.captions), "attributes": attributes})


def checksum(images: Images) -> str:
    """Return 12 hexadecimal digits that identify the pixels and the shape of images."""
    digest = hashlib.sha256(str(images.shape).encode())
    for start in range(0, len(images), 4096):  # a memory-mapped array may exceed the memory
        digest.update(np.ascontiguousarray(images[start : start + 4096]).data)
    return digest.hexdigest()[:12]


@contextmanager
def cache_read_errors(folder: Path) -> Iterator[None]:
    """Convert errors on reading an image cache to `UserError`."""
    try:
        yield
    except (OSError, ValueError, KeyError, EOFError, TypeError, BadZipFile) as error:
        raise UserError(f"The image cache {folder} is damaged ({error}): delete that folder and run again.") from error


def open_cache(folder: Path) -> Faces:
    """Open a complete cache with its images memory-mapped read-only.

    Raises:
        UserError: if a file of the cache is missing or damaged.
    """
    with cache_read_errors(folder):
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return Faces(
            images=np.load(folder / "images.npy", mmap_mode="r"),
            captions=json.loads((folder / "captions.json").read_text(encoding="utf-8")),
            attributes=np.load(folder / "attributes.npy"),
            attribute_names=about["attributes"],
        )


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`, and rename it to `folder` if the block succeeds.

    If another process has created `folder` in the meantime, that one is kept and the temporary folder is removed.

    Raises:
        UserError: if writing fails.
    """
    with disk_errors(f"the image cache {folder}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_images(path: Path, resolution: int, chunks: Iterable[Images]) -> int:
    """Write chunks of images, uint8 (n, 3, R, R) each, to an `images.npy`, and return the number of images."""

    def header(count: int) -> bytes:
        buffer = io.BytesIO()
        shape = (count, 3, resolution, resolution)
        np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return buffer.getvalue()  # NumPy pads the header, so its length does not depend on the count

    count = 0
    with path.open("wb") as file:
        file.write(header(0))
        for images in chunks:
            file.write(np.ascontiguousarray(images).data)
            count += len(images)
        file.seek(0)
        file.write(header(count))
    return count


def write_labels(
    folder: Path,
    captions: Sequence[Sequence[str]],
    attributes: Attributes,
    names: Sequence[str],
    settings: dict[str, Any],
) -> None:
    """Write the captions, the attributes and `about.json` of a cache."""
    np.save(folder / "attributes.npy", attributes)
    (folder / "captions.json").write_text(json.dumps(captions, ensure_ascii=False), encoding="utf-8")
    about = {"attributes": list(names), "settings": settings}
    (folder / "about.json").write_text(json.dumps(about, indent=2), encoding="utf-8")

"""Captions that are generated when they are first read. Models of attributes never read them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from t2f.utils.files import atomic_write

Captions = Sequence[Sequence[str]]
"""The captions of each face."""


@dataclass
class _CaptionFile:
    path: Path
    generate: Callable[[], list[list[str]]]

    @cached_property
    def texts(self) -> list[list[str]]:
        """The captions of all faces."""
        with suppress(OSError, ValueError):  # a missing or damaged file is written again
            cached: list[list[str]] = json.loads(self.path.read_text(encoding="utf-8"))
            return cached
        texts = self.generate()
        with atomic_write(self.path, f"the captions {self.path}") as temporary:
            temporary.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
        return texts


class CachedCaptions(Sequence[Sequence[str]]):
    """Captions of N faces that are generated when one is first read, and cached in a JSON file. Slices share the file.

    Args:
        path: The JSON file. Its name must depend on everything that the captions depend on.
        length: Number of faces.
        generate: Returns the captions of all faces.
    """

    def __init__(self, path: Path, length: int, generate: Callable[[], list[list[str]]]) -> None:
        self.file = _CaptionFile(path, generate)
        self.all = range(length)
        self.indices: Sequence[int] = self.all

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Sequence[str]: ...

    @overload
    def __getitem__(self, index: slice) -> CachedCaptions: ...

    def __getitem__(self, index: int | slice) -> Sequence[str] | CachedCaptions:
        return self.take(range(len(self))[index]) if isinstance(index, slice) else self.file.texts[self.indices[index]]

    def take(self, indices: Sequence[int]) -> CachedCaptions:
        """Return the captions of some faces, without generating them."""
        part = copy.copy(self)
        part.indices = [self.indices[index] for index in indices]
        return part


def take(captions: Captions, indices: Sequence[int]) -> Captions:
    """Return the captions of some faces, without generating `CachedCaptions`."""
    return captions.take(indices) if isinstance(captions, CachedCaptions) else [captions[index] for index in indices]


def fingerprint_data(captions: Captions) -> Any:
    """Return plain values that identify captions, without generating `CachedCaptions`."""
    if not isinstance(captions, CachedCaptions):
        return [list(each) for each in captions]
    name = captions.file.path.name
    return name if captions.indices is captions.all else [name, list(captions.indices)]

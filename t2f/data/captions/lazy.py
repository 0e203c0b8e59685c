"""Captions that are generated when they are first read. Models of attributes never read them."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, overload

from t2f.utils.files import atomic_write

Captions = Sequence[Sequence[str]]
"""The captions of each face."""


class LazyCaptions(Sequence[Sequence[str]]):
    """Base class of sequences of the captions of N faces. Slices are lazy too."""

    @abstractmethod
    def captions_of(self, index: int) -> Sequence[str]:
        """Return the captions of one face. May generate those of all faces."""

    @overload
    def __getitem__(self, index: int) -> Sequence[str]: ...

    @overload
    def __getitem__(self, index: slice) -> Captions: ...

    def __getitem__(self, index: int | slice) -> Sequence[str] | Captions:
        if isinstance(index, slice):
            return CaptionSubset(self, range(len(self))[index])
        return self.captions_of(index)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(map(list, self)) == list(map(list, other))

    __hash__ = None  # type: ignore[assignment]  # unhashable, like a list


class CachedCaptions(LazyCaptions):
    """Captions that are generated when first read and cached in a JSON file.

    Args:
        path: The JSON file. Its name must depend on everything that the captions depend on.
        length: Number of faces.
        generate: Returns the captions of all faces.
    """

    def __init__(self, path: Path, length: int, generate: Callable[[], list[list[str]]]) -> None:
        self.path = path
        self.length = length
        self.generate = generate

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

    def __len__(self) -> int:
        return self.length

    def captions_of(self, index: int) -> Sequence[str]:
        return self.texts[index]


class CaptionSubset(LazyCaptions):
    """The captions of some faces.

    Args:
        captions: The captions of all faces.
        indices: Indices of the faces.
    """

    def __init__(self, captions: Captions, indices: Sequence[int]) -> None:
        self.captions = captions
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def captions_of(self, index: int) -> Sequence[str]:
        return self.captions[self.indices[index]]


def fingerprint_data(captions: Captions) -> Any:
    """Return plain values that identify captions, without generating `CachedCaptions`."""
    if isinstance(captions, CachedCaptions):
        return captions.path.name
    if isinstance(captions, CaptionSubset) and isinstance(captions.captions, LazyCaptions):
        return [fingerprint_data(captions.captions), list(captions.indices)]
    return [list(each) for each in captions]

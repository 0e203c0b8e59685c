"""Captions that are written when somebody asks for one: a model of attributes reads none."""

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


class LazyCaptions(Sequence[Sequence[str]]):
    """Captions of N faces. Slices are lazy, too; reading the captions of a face may have those of all written."""

    @abstractmethod
    def of_face(self, number: int) -> Sequence[str]:
        """Those of one face."""

    @overload
    def __getitem__(self, which: int) -> Sequence[str]: ...

    @overload
    def __getitem__(self, which: slice) -> Captions: ...

    def __getitem__(self, which: int | slice) -> Sequence[str] | Captions:
        return Chosen(self, range(len(self))[which]) if isinstance(which, slice) else self.of_face(which)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(map(list, self)) == list(map(list, other))

    __hash__ = None  # type: ignore[assignment]  # as of a list


class Written(LazyCaptions):
    """The captions of `length` faces, made by `write` when they are first read, and kept in the JSON file `path`.

    `path` is named after all that the captions depend on.
    """

    def __init__(self, path: Path, length: int, write: Callable[[], list[list[str]]]) -> None:
        self.path = path
        self.length = length
        self.write = write

    @cached_property
    def texts(self) -> list[list[str]]:
        with suppress(OSError, ValueError):  # not there, or damaged: they are made again
            kept: list[list[str]] = json.loads(self.path.read_text(encoding="utf-8"))
            return kept
        texts = self.write()
        with atomic_write(self.path, f"the captions {self.path}") as side:
            side.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
        return texts

    def __len__(self) -> int:
        return self.length

    def of_face(self, number: int) -> Sequence[str]:
        return self.texts[number]


class Chosen(LazyCaptions):
    """The captions of some faces, by their numbers among all."""

    def __init__(self, captions: Captions, numbers: Sequence[int]) -> None:
        self.captions = captions
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def of_face(self, number: int) -> Sequence[str]:
        return self.captions[self.numbers[number]]


def identity(captions: Captions) -> Any:
    """Plain values that change with any caption; of those that are `Written`, without writing them."""
    if isinstance(captions, Written):
        return captions.path.name
    if isinstance(captions, Chosen) and isinstance(captions.captions, LazyCaptions):
        return [identity(captions.captions), list(captions.numbers)]
    return [list(each) for each in captions]

"""One interface for all ways of saying what a face is to be."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from hydra.utils import get_class
from torch import Tensor

from t2f.data.faces import Faces, Images
from t2f.utils.errors import UserError, require

LONGEST_QUOTED = 60  # letters of a description that a message repeats


@dataclass(frozen=True)
class Conditions:
    """The conditions of N faces, M in all: face i fits `counts[i]` rows that follow each other, none if unlabelled.

    `rows`: (M, ...), int64 token ids or float32. `rotation_k`: (M,), quarter turns, anticlockwise, that
    rotate the image to fit the row.
    """

    rows: Tensor
    counts: npt.NDArray[np.int64]
    rotation_k: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Example:
    """A description, and the number of a face that it fits once turned by so many quarters, anticlockwise."""

    description: str
    face: int
    rotation_k: int = 0

    def shown(self, faces: Faces) -> Images:
        """The face's image, uint8 (3, R, R)."""
        return np.rot90(faces.images[self.face], self.rotation_k, axes=(1, 2)).copy()


@dataclass(frozen=True)
class PromptSet:
    """N descriptions, the number of the face that each describes, (N,), and what each asks for.

    `expected`: int8 (N, A), 1 present, 0 absent, -1 not asked, or not known to be.
    """

    descriptions: list[str]
    faces: npt.NDArray[np.int64]
    expected: Tensor


class Conditioner(ABC):
    """Descriptions and faces -> conditions. It is fitted to the training faces, and kept in the checkpoint."""

    size: int
    """The number of token ids, or of numbers in a row."""

    summary: str
    """What it knows, for the terminal: "124 words"."""

    example: str
    """A description to try."""

    def described(self, faces: Faces) -> int:
        """How many of the faces are described at all."""
        return len(faces)

    @abstractmethod
    def of(self, faces: Faces) -> Conditions:
        """All conditions that the faces fit."""

    @abstractmethod
    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        """N descriptions -> rows (N, ...). Raises `UserError` for one that says nothing."""

    @abstractmethod
    def notes(self, description: str) -> list[str]:
        """What a person who wrote this should be told. Raises `UserError` if nothing of it is understood."""

    @abstractmethod
    def known(self) -> dict[str, list[str]]:
        """The words that it knows, by what they are about; none where any words may be written."""

    @abstractmethod
    def examples(self, faces: Faces, count: int) -> list[Example]:
        """At most `count` descriptions to show on a sheet, each with a face of `faces`."""

    @abstractmethod
    def prompt_set(self, faces: Faces, count: int, seed: int) -> PromptSet:
        """`count` descriptions of `faces`, new ones where they can be made. Raises `UserError` if there are none."""

    @property
    @abstractmethod
    def recipe(self) -> str:
        """Python that makes `condition`, a NumPy array with the row of one description, from a model's config.json.

        It needs nothing of t2f. `json` and NumPy as `np` are imported, and the file is read as `config`.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Plain values to keep in a checkpoint."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """What `state` gave, again."""


def require_words(description: str, number: int, example: str) -> None:
    """Raise `UserError` for a description that is empty."""
    require(
        bool(description.strip()), f"Description {number} is empty: write at least one word, such as {quoted(example)}."
    )


def quoted(description: str) -> str:
    """A description within a message, cut if it is long."""
    short = " ".join(description.split())
    return f"'{short if len(short) <= LONGEST_QUOTED else f'{short[:LONGEST_QUOTED]}...'}'"


def fit_conditioner(fit: Callable[[Faces], Conditioner], faces: Faces) -> Conditioner:
    """`fit(faces)`, where wrong settings of the text or conditioning group end in a `UserError`."""
    try:
        return fit(faces)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"The conditions cannot be made: {error}; see conditioning.conditioner.") from error


def save_conditioner(conditioner: Conditioner) -> dict[str, Any]:
    """A conditioner as plain values."""
    kind = type(conditioner)
    return {"class": f"{kind.__module__}.{kind.__qualname__}", **conditioner.state()}


def load_conditioner(saved: dict[str, Any]) -> Conditioner:
    """The conditioner that `save_conditioner` wrote; of a stranger's file, only our own classes are called."""
    name = str(saved["class"])
    found = get_class(name) if name.startswith("t2f.conditioning.") else None
    if found is None or not issubclass(found, Conditioner) or inspect.isabstract(found):
        raise UserError(f"The checkpoint asks to call {name}, which is no conditioner of t2f: do not trust it.")
    return found.from_state({key: value for key, value in saved.items() if key != "class"})

"""The common interface of all conditioners, which turn captions and attributes into conditions.

A condition is the input of the text encoder: the token ids of a caption, its embedding by a frozen encoder, or a vector
of attributes. The generator's own condition c, a vector, follows from the text embedding: see `conditional_generator`.
"""

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

MAX_QUOTED_LENGTH = 60  # characters of a description that a message repeats


@dataclass(frozen=True)
class Conditions:
    """All conditions of N faces, M in total.

    Attributes:
        values: (M, ...), int64 token ids or float32 vectors, ordered by face.
        counts: int64 (N,), the number of conditions of each face; 0 for an unlabeled face.
        rotation_k: int64 (M,), in [0, 3]. Rotate the image by this many quarter turns, counterclockwise, to match the
            condition.
    """

    values: Tensor
    counts: npt.NDArray[np.int64]
    rotation_k: npt.NDArray[np.int64]


@dataclass(frozen=True)
class ExamplePrompt:
    """A description and the face that it describes.

    Attributes:
        description: The description.
        face: Index of the face in its data set.
        rotation_k: Quarter turns, counterclockwise, after which the face matches the description.
    """

    description: str
    face: int
    rotation_k: int = 0

    def image(self, faces: Faces) -> Images:
        """Return the rotated image of the face, uint8 (3, R, R)."""
        return np.rot90(faces.images[self.face], self.rotation_k, axes=(1, 2)).copy()


@dataclass(frozen=True)
class PromptSet:
    """N descriptions for an evaluation.

    Attributes:
        descriptions: N descriptions.
        faces: int64 (N,), the index of the face that each description belongs to.
        expected: int8 (N, A), the attributes that each description states: 1 present, 0 absent, -1 not stated or
            unknown.
    """

    descriptions: list[str]
    faces: npt.NDArray[np.int64]
    expected: Tensor


class Conditioner(ABC):
    """Maps descriptions and faces to conditions. It is fitted to the training faces and saved in the checkpoint."""

    size: int
    """Number of token ids, or length of a condition vector."""

    summary: str
    """Short summary for the terminal, such as "124 words"."""

    example: str
    """A description that the model understands."""

    def count_described(self, faces: Faces) -> int:
        """Return the number of faces that have at least one condition."""
        return len(faces)

    @abstractmethod
    def conditions_of(self, faces: Faces) -> Conditions:
        """Return all conditions of the faces."""

    @abstractmethod
    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        """Encode descriptions.

        Args:
            descriptions: N descriptions.

        Returns:
            Conditions (N, ...), of the dtype of `Conditions.values`.

        Raises:
            UserError: A description is empty or cannot be interpreted.
        """

    @abstractmethod
    def notes(self, description: str) -> list[str]:
        """Return notes for the writer of a description, such as words that were ignored.

        Raises:
            UserError: The model understands no part of the description.
        """

    @abstractmethod
    def known_words(self) -> dict[str, list[str]]:
        """Return the known words by topic; empty if the conditioner accepts any words."""

    @abstractmethod
    def examples(self, faces: Faces, count: int) -> list[ExamplePrompt]:
        """Return at most `count` example prompts, each with one of the faces."""

    @abstractmethod
    def prompt_set(self, faces: Faces, count: int, seed: int) -> PromptSet:
        """Create `count` evaluation prompts for the faces, with new sentences where the attributes allow it.

        Raises:
            UserError: The faces have neither attributes nor captions to write prompts from.
        """

    @property
    @abstractmethod
    def example_code(self) -> str:
        """Python code that encodes one description without t2f.

        The code reads the content of a model's config.json from the variable `config`, may use `json` and `np`, and
        assigns the condition (1, ...) to the variable `condition`.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return plain values for the checkpoint."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Create a conditioner from the values that `state` returned."""


def require_words(description: str, number: int, example: str) -> None:
    """Raise `UserError` if a description is empty. `number` counts from 1."""
    require(
        bool(description.strip()), f"Description {number} is empty: write at least one word, such as {quoted(example)}."
    )


def quoted(description: str) -> str:
    """Quote a description for a message, and shorten a long one."""
    short = " ".join(description.split())
    return f"'{short if len(short) <= MAX_QUOTED_LENGTH else f'{short[:MAX_QUOTED_LENGTH]}...'}'"


def fit_conditioner(fit: Callable[[Faces], Conditioner], faces: Faces) -> Conditioner:
    """Fit a conditioner to the training faces.

    Args:
        fit: The `fit` of a conditioner class, with its settings bound.
        faces: The training faces.

    Raises:
        UserError: A setting has an invalid value, or the faces have no labels of the kind that is needed.
    """
    try:
        return fit(faces)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"The conditioner cannot be fitted: {str(error).rstrip('.')}; see text.conditioner and "
            "conditioning.conditioner."
        ) from error


def save_conditioner(conditioner: Conditioner) -> dict[str, Any]:
    """Return a conditioner as plain values."""
    kind = type(conditioner)
    return {"class": f"{kind.__module__}.{kind.__qualname__}", **conditioner.state()}


def load_conditioner(saved: dict[str, Any]) -> Conditioner:
    """Create a conditioner from the values that `save_conditioner` returned.

    Raises:
        UserError: The saved class is not a conditioner of t2f. Checkpoints are untrusted, so no other class is called.
    """
    name = str(saved["class"])
    found = get_class(name) if name.startswith("t2f.conditioning.") else None
    if found is None or not issubclass(found, Conditioner) or inspect.isabstract(found):
        raise UserError(f"The checkpoint names the class {name}, which is not a conditioner of t2f: do not trust it.")
    return found.from_state({key: value for key, value in saved.items() if key != "class"})

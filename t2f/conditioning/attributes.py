"""Attributes as conditions: "Male, Young" without a sentence, and the rotation of the picture as one more."""

from __future__ import annotations

import difflib
import itertools
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from t2f.conditioning.base import Conditioner, Conditions, Example, PromptSet
from t2f.data.faces import Faces
from t2f.utils.errors import UserError, require

TURNS = ("upright", "90 degrees", "180 degrees", "270 degrees")  # anticlockwise


class AttributeConditioner(Conditioner):
    """Attributes as float32 (A,): 1 present, -1 absent, 0 unknown; with `rotations`, 4 more, one of them 1.

    faCeGAN's labels were 1 and 0; the mean square of these is 1, which equalised layers expect. With `rotations` each
    picture is shown upright and turned by 90, 180 and 270 degrees, and told which.

    A description lists what is present, "Male, Young, 90 degrees"; "Young?" leaves it open, and all else is absent.
    """

    def __init__(self, names: Sequence[str], rotations: bool = False) -> None:
        self.names = list(names)
        self.rotations = rotations
        self.size = len(self.names) + (len(TURNS) if rotations else 0)
        self.summary = f"{len(self.names)} attributes" + (" and the rotation" if rotations else "")
        self.example = ", ".join(self.names[:2])

    @classmethod
    def fit(cls, faces: Faces, names: Sequence[str] | None = None, rotations: bool = False) -> AttributeConditioner:
        """The attributes named, or all that the faces have."""
        if not len(faces.attribute_names):
            instead = "choose conditioning=text" if any(faces.captions) else "add some"
            raise UserError(f"These data have no attributes to learn from: {instead}.")
        names = [names] if isinstance(names, str) else names
        for name in names or ():
            require(
                isinstance(name, str),
                f"attributes holds {name}, which is read as no text: put such names in quotes, as in "
                '\'conditioning.attributes=["null","1e3"]\'.',
            )
            if name not in faces.attribute_names:
                close = difflib.get_close_matches(name, faces.attribute_names, 3) or faces.attribute_names
                raise UserError(f"The data have no attribute {name} for attributes: choose among {', '.join(close)}.")
        chosen = list(names or faces.attribute_names)
        distinct = {_key(name): name for name in chosen}
        reserved = ("", "none", *map(_key, TURNS))
        for name in chosen:
            left_open = name.endswith("?") and _key(name.removesuffix("?")) in distinct
            require(
                "," not in name and not left_open and _key(name) not in reserved,
                f"The attribute {name} cannot be told from a list of attributes: rename that column.",
            )
        for name in chosen:
            other = distinct[_key(name)]
            require(name is other, f"The attributes {name} and {other} cannot be told apart: rename or leave out one.")
        return cls(chosen, rotations)

    def of(self, faces: Faces) -> Conditions:
        values = self._labels(self._columns(faces))
        rotation_k = len(TURNS) if self.rotations else 1
        rows = torch.from_numpy(values).repeat_interleave(rotation_k, dim=0)
        if self.rotations:
            rows = torch.cat([rows, torch.eye(rotation_k).repeat(len(faces), 1)], dim=1)
        return Conditions(rows, np.full(len(faces), rotation_k), np.tile(np.arange(rotation_k), len(faces)))

    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        return torch.stack([self._row(description) for description in descriptions])

    def notes(self, description: str) -> list[str]:
        self._row(description)
        return []

    def known(self) -> dict[str, list[str]]:
        return {"attributes": self.names, **({"rotation": list(TURNS)} if self.rotations else {})}

    def examples(self, faces: Faces, count: int) -> list[Example]:
        """The most frequent combinations, in the order of their labels; each upright and turned, with `rotations`."""
        rotation_k = TURNS if self.rotations else TURNS[:1]
        combinations = [tuple(map(int, row)) for row in self._columns(faces)]
        frequent = Counter(combinations).most_common(max(1, count // len(rotation_k)))
        chosen = sorted((combination for combination, _ in frequent), reverse=True)
        return [
            Example(self._describe(combination, turn), combinations.index(combination), TURNS.index(turn))
            for combination, turn in itertools.product(chosen, rotation_k)
        ]

    def prompt_set(self, faces: Faces, count: int, seed: int) -> PromptSet:
        """The labels of faces of the set, upright; all of them are asked for, where known."""
        chosen = np.random.default_rng(seed).integers(len(faces), size=count)
        columns = self._columns(faces)[chosen]
        expected = torch.full((count, len(faces.attribute_names)), -1, dtype=torch.int8)
        expected[:, self._places(faces)] = torch.from_numpy(columns)
        return PromptSet([self._describe(tuple(map(int, row)), TURNS[0]) for row in columns], chosen, expected)

    @property
    def recipe(self) -> str:
        upright = f" + {[1, *[0] * (len(TURNS) - 1)]}  # upright" if self.rotations else ""
        return f"""\
present = {json.dumps(self.names[:2])}  # of config["conditioner"]["names"]; of what is left open, the number is 0
labels = [1 if name in present else -1 for name in config["conditioner"]["names"]]{upright}
condition = np.array([labels], dtype=np.float32)"""

    def state(self) -> dict[str, Any]:
        return {"names": self.names, "rotations": self.rotations}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(state["names"], state["rotations"])

    def _places(self, faces: Faces) -> list[int]:
        return [list(faces.attribute_names).index(name) for name in self.names]

    def _columns(self, faces: Faces) -> np.ndarray[Any, np.dtype[np.int8]]:
        return faces.attributes[:, self._places(faces)]

    @staticmethod
    def _labels(values: np.ndarray[Any, np.dtype[np.int8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """1, 0, -1 (present, absent, unknown) -> 1, -1, 0."""
        return np.where(values < 0, 0, 2 * values - 1).astype(np.float32)

    def _describe(self, values: tuple[int, ...], turn: str) -> str:
        present = [name if value == 1 else f"{name}?" for name, value in zip(self.names, values, strict=True) if value]
        return ", ".join([*(present or ["none"]), *([turn] if turn != TURNS[0] else [])])

    def _row(self, description: str) -> Tensor:
        known = {_key(name): place for place, name in enumerate(self.names)}
        row = -torch.ones(len(self.names))
        turn = 0
        parts = [part.strip() for part in description.split(",") if part.strip()]
        if not parts:
            raise UserError("A description is empty: name what the face has, such as 'Male, Young', or 'none'.")
        for part in parts:
            if _key(part) in known:
                row[known[_key(part)]] = 1
            elif _key(part.removesuffix("?")) in known:
                row[known[_key(part.removesuffix("?"))]] = 0
            elif self.rotations and part.casefold() in TURNS:
                turn = TURNS.index(part.casefold())
            elif part.casefold() != "none":
                choices = [*self.names, *(TURNS if self.rotations else ())]
                raise UserError(
                    f"The model was trained on labels, and {part} is none of them: list some of {', '.join(choices)}, "
                    "with commas between."
                )
        return torch.cat([row, torch.eye(len(TURNS))[turn]]) if self.rotations else row


def _key(name: str) -> str:
    """Black_Hair, black hair and BLACK HAIR are one."""
    return name.strip().casefold().replace(" ", "_")

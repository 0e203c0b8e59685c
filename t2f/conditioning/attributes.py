"""Attributes as conditions, such as "Male, Young", with the rotation of the image as an optional further label."""

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

from t2f.conditioning.base import Conditioner, Conditions, ExamplePrompt, PromptSet
from t2f.data.faces import Faces
from t2f.utils.errors import UserError, require

ROTATIONS = ("upright", "90 degrees", "180 degrees", "270 degrees")  # counterclockwise


class AttributeConditioner(Conditioner):
    """Encodes attributes as a float32 vector (A,): 1 present, -1 absent, 0 unknown.

    faCeGAN used the labels 1 and 0. The mean square of 1 and -1 is 1, which equalized layers expect.

    A description lists the attributes that are present: "Male, Young, 90 degrees". "Young?" marks an attribute as
    unknown. All attributes that are not listed are absent.

    Args:
        names: The A attributes.
        rotations: Train also on images rotated by 90, 180 and 270 degrees. The vector then ends in a one-hot encoding
            of the rotation and has A + 4 values.
    """

    def __init__(self, names: Sequence[str], rotations: bool = False) -> None:
        self.names = list(names)
        self.rotations = rotations
        self.size = len(self.names) + (len(ROTATIONS) if rotations else 0)
        self.summary = f"{len(self.names)} attributes" + (" and the rotation" if rotations else "")
        self.example = ", ".join(self.names[:2])

    @classmethod
    def fit(cls, faces: Faces, names: Sequence[str] | None = None, rotations: bool = False) -> AttributeConditioner:
        """Create a conditioner for the attributes of a data set.

        Args:
            faces: The training faces.
            names: The attributes to use; None: all attributes of the faces.
            rotations: See the class.

        Raises:
            UserError: The faces have no attributes or not the given ones, or a name is ambiguous in a description.
        """
        if not len(faces.attribute_names):
            instead = "choose conditioning=text" if any(faces.captions) else "add some"
            raise UserError(f"The data have no attributes to train on: {instead}.")
        names = [names] if isinstance(names, str) else names
        for name in names or ():
            if name not in faces.attribute_names:
                close = difflib.get_close_matches(str(name), faces.attribute_names, 3) or faces.attribute_names
                raise UserError(f"The data have no attribute {name} for attributes: choose among {', '.join(close)}.")
        chosen = list(names or faces.attribute_names)
        distinct = {_key(name): name for name in chosen}
        reserved = ("", "none", *map(_key, ROTATIONS))
        for name in chosen:
            marks_unknown = name.endswith("?") and _key(name.removesuffix("?")) in distinct
            repeats = distinct[_key(name)] is not name
            require(
                "," not in name and not marks_unknown and not repeats and _key(name) not in reserved,
                f"The attribute name {name} is ambiguous in a list of attributes: rename that column.",
            )
        return cls(chosen, rotations)

    def conditions_of(self, faces: Faces) -> Conditions:
        columns = faces.attributes[:, self._column_indices(faces)]
        labels = np.where(columns < 0, 0, 2 * columns - 1).astype(np.float32)
        copies = len(ROTATIONS) if self.rotations else 1
        values = torch.from_numpy(labels).repeat_interleave(copies, dim=0)
        if self.rotations:
            values = torch.cat([values, torch.eye(copies).repeat(len(faces), 1)], dim=1)
        return Conditions(values, np.full(len(faces), copies), np.tile(np.arange(copies), len(faces)))

    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        return torch.stack([self._encode(description) for description in descriptions])

    def notes(self, description: str) -> list[str]:
        self._encode(description)
        return []

    def known_words(self) -> dict[str, list[str]]:
        return {"attributes": self.names, **({"rotation": list(ROTATIONS)} if self.rotations else {})}

    def examples(self, faces: Faces, count: int) -> list[ExamplePrompt]:
        """Return the most frequent combinations of attributes, each in all rotations that are trained on."""
        rotations = ROTATIONS if self.rotations else ROTATIONS[:1]
        combinations = [tuple(map(int, row)) for row in faces.attributes[:, self._column_indices(faces)]]
        frequent = Counter(combinations).most_common(max(1, count // len(rotations)))
        chosen = sorted((combination for combination, _ in frequent), reverse=True)
        return [
            ExamplePrompt(self._describe(combination, rotation), combinations.index(combination), k)
            for combination, (k, rotation) in itertools.product(chosen, enumerate(rotations))
        ]

    def prompt_set(self, faces: Faces, count: int, seed: int) -> PromptSet:
        """Create prompts from the attributes of randomly chosen faces, upright. All known attributes are expected."""
        chosen = np.random.default_rng(seed).integers(len(faces), size=count)
        indices = self._column_indices(faces)
        columns = faces.attributes[:, indices][chosen]
        expected = torch.full((count, len(faces.attribute_names)), -1, dtype=torch.int8)
        expected[:, indices] = torch.from_numpy(columns)
        return PromptSet([self._describe(tuple(map(int, row)), ROTATIONS[0]) for row in columns], chosen, expected)

    @property
    def example_code(self) -> str:
        upright = f" + {[1, *[0] * (len(ROTATIONS) - 1)]}  # upright" if self.rotations else ""
        return f"""\
present = {json.dumps(self.names[:2])}  # of config["conditioner"]["names"]; the number of an unknown attribute is 0
labels = [1 if name in present else -1 for name in config["conditioner"]["names"]]{upright}
condition = np.array([labels], dtype=np.float32)"""

    def state(self) -> dict[str, Any]:
        return {"names": self.names, "rotations": self.rotations}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(state["names"], state["rotations"])

    def _column_indices(self, faces: Faces) -> list[int]:
        return [list(faces.attribute_names).index(name) for name in self.names]

    def _describe(self, values: tuple[int, ...], rotation: str) -> str:
        """Write a description from attribute values (1 present, 0 absent, -1 unknown)."""
        present = [name if value == 1 else f"{name}?" for name, value in zip(self.names, values, strict=True) if value]
        return ", ".join([*(present or ["none"]), *([rotation] if rotation != ROTATIONS[0] else [])])

    def _encode(self, description: str) -> Tensor:
        indices = {_key(name): index for index, name in enumerate(self.names)}
        values = -torch.ones(len(self.names))
        rotation_k = 0
        parts = [part.strip() for part in description.split(",") if part.strip()]
        if not parts:
            raise UserError(
                "A description is empty: list the attributes of the face, such as 'Male, Young', or 'none'."
            )
        for part in parts:
            if _key(part) in indices:
                values[indices[_key(part)]] = 1
            elif _key(part.removesuffix("?")) in indices:
                values[indices[_key(part.removesuffix("?"))]] = 0
            elif self.rotations and part.casefold() in ROTATIONS:
                rotation_k = ROTATIONS.index(part.casefold())
            elif part.casefold() != "none":
                choices = [*self.names, *(ROTATIONS if self.rotations else ())]
                raise UserError(
                    f"The model was trained on attributes, and {part} is not one of them: list some of "
                    f"{', '.join(choices)}, separated by commas."
                )
        return torch.cat([values, torch.eye(len(ROTATIONS))[rotation_k]]) if self.rotations else values


def _key(name: str) -> str:
    """Normalize a name: Black_Hair, black hair and BLACK HAIR are the same."""
    return name.strip().casefold().replace(" ", "_")

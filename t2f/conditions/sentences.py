"""Sentences as conditions: as the ids of their words, or as the embeddings of a frozen encoder."""

from __future__ import annotations

import json
import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from t2f.conditions.base import Conditioner, Conditions, Exam, Example
from t2f.data.captions import describe
from t2f.data.faces import Faces
from t2f.errors import UserError, require
from t2f.text.tokenizer import WordTokenizer

MOST_LISTED, LONGEST_LISTED = 8, 30  # words, letters: what a note repeats of a description


class Sentences(Conditioner):
    """What all conditioners on sentences share. A face fits each of its captions."""

    example = "a smiling woman with long red hair and glasses"

    @abstractmethod
    def rows(self, captions: list[str]) -> Tensor:
        """All captions of a data set -> rows; where that takes long, it is done once."""

    def described(self, faces: Faces) -> int:
        return sum(map(bool, faces.captions))

    def of(self, faces: Faces) -> Conditions:
        captions = [caption for captions in faces.captions for caption in captions]
        counts = np.array([len(each) for each in faces.captions])
        return Conditions(self.rows(captions), counts, np.zeros(len(captions), np.int64))

    def examples(self, faces: Faces, count: int) -> list[Example]:
        captioned = (Example(captions[0], face) for face, captions in enumerate(faces.captions) if captions)
        return [example for example, _ in zip(captioned, range(count), strict=False)]

    def exam(self, faces: Faces, count: int, seed: int) -> Exam:
        """Sentences made anew from the attributes; the faces' own captions where no sentence speaks of an attribute."""
        names = list(faces.attribute_names)
        asked = torch.full((count, len(names)), -1, dtype=torch.int8)
        chosen = np.arange(count) % len(faces)
        descriptions = []
        for row, face in enumerate(chosen):
            attributes = dict(zip(names, map(int, faces.attributes[face]), strict=True))
            caption = describe(attributes, random.Random(f"evaluation {seed} {row}"))
            descriptions.append(caption.text)
            for name, value in caption.asked.items():
                asked[row, names.index(name)] = value
        if (asked >= 0).any():
            return Exam(descriptions, chosen, asked)
        captioned = np.array([face for face, captions in enumerate(faces.captions) if captions])
        require(len(captioned) > 0, "None of the faces held out is described, so no words to evaluate with are left.")
        chosen = captioned[np.arange(count) % len(captioned)]
        return Exam(
            [random.Random(f"{seed} {row}").choice(faces.captions[int(face)]) for row, face in enumerate(chosen)],
            chosen,
            asked,
        )


def listed(words: Sequence[str]) -> str:
    """The words with commas between, for people to read: long ones cut, and of many the first."""
    first = (word if len(word) <= LONGEST_LISTED else f"{word[:LONGEST_LISTED]}..." for word in words[:MOST_LISTED])
    more = f" and {len(words) - MOST_LISTED:,} more" if len(words) > MOST_LISTED else ""
    return ", ".join(first) + more


def require_captions(faces: Faces) -> None:
    """Raise `UserError` for faces that nobody described."""
    instead = "choose conditioning=attributes" if len(faces.attribute_names) else "write some"
    require(any(faces.captions), f"These data have no descriptions to learn from: {instead}.")


class Words(Sentences):
    """The words of a caption as token ids (max_tokens,), for an encoder that learns with the GAN."""

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self.tokenizer = tokenizer
        self.size = len(tokenizer)
        self.summary = f"{len(tokenizer):,} words"

    @classmethod
    def fit(cls, faces: Faces, vocabulary: int, max_tokens: int) -> Words:
        """Learn the words of the captions."""
        require_captions(faces)
        captions = (caption for captions in faces.captions for caption in captions)
        return cls(WordTokenizer.train(captions, vocabulary, max_tokens))

    def rows(self, captions: list[str]) -> Tensor:
        return self.tokenizer(captions)

    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        return self.tokenizer(descriptions)

    def notes(self, description: str) -> list[str]:
        unknown = self.tokenizer.unknown_words(description)
        if not self.tokenizer.knows_a_word_of(description):
            none_known = f"The model was trained on none of the words of a description ({listed(unknown)})"
            raise UserError(
                f"{none_known if unknown else 'A description has no words'}: describe the face in plain English, "
                "such as 'a smiling woman with red hair'."
            )
        if not unknown:
            return []
        meant = {word: self.tokenizer.nearest(word) for word in unknown[:MOST_LISTED] if len(word) <= LONGEST_LISTED}
        hints = "".join(f"; for {word}, try {near}" for word, near in meant.items() if near)
        return [f"not among the words of training, so ignored: {listed(unknown)}{hints}"]

    @property
    def recipe(self) -> str:
        return f"""\
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_str(config["conditioner"]["tokenizer"])
tokenizer.encode_special_tokens = True
condition = np.array([tokenizer.encode({json.dumps(self.example)}).ids], dtype=np.int64)"""

    def state(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer.to_json(), "max_tokens": self.tokenizer.max_tokens}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(WordTokenizer.from_json(state["tokenizer"], state["max_tokens"]))

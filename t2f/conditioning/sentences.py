"""Sentences as conditions: as the ids of their words, or as the embeddings of a frozen encoder."""

from __future__ import annotations

import json
import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from t2f.conditioning.base import Conditioner, Conditions, Example, PromptSet, quoted, require_words
from t2f.data.captions.describe import describe
from t2f.data.faces import Faces
from t2f.text.reader import Reader
from t2f.text.tokenizer import WordTokenizer
from t2f.utils.errors import UserError, require

LOOKED_AT = 1000  # faces among whose captions the example is sought
TYPICAL = 8  # words of an example


class TextConditioner(Conditioner):
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

    def prompt_set(self, faces: Faces, count: int, seed: int) -> PromptSet:
        """Sentences made anew from the attributes; the faces' own captions where no sentence speaks of an attribute."""
        names = list(faces.attribute_names)
        expected = torch.full((count, len(names)), -1, dtype=torch.int8)
        chosen = np.arange(count) % len(faces)
        descriptions = []
        for row, face in enumerate(chosen):
            attributes = dict(zip(names, map(int, faces.attributes[face]), strict=True))
            caption = describe(attributes, random.Random(f"evaluation {seed} {row}"))
            descriptions.append(caption.text)
            for name, value in caption.expected.items():
                expected[row, names.index(name)] = value
        if (expected >= 0).any():
            return PromptSet(descriptions, chosen, expected)
        captioned = np.array([face for face, captions in enumerate(faces.captions) if captions])
        require(len(captioned) > 0, "None of the faces held out is described, so no words to evaluate with are left.")
        chosen = captioned[np.arange(count) % len(captioned)]
        return PromptSet(
            [random.Random(f"{seed} {row}").choice(faces.captions[int(face)]) for row, face in enumerate(chosen)],
            chosen,
            expected,
        )


def typical_caption(faces: Faces, is_known: Callable[[str], bool]) -> str | None:
    """One of the faces' own captions, known and of about `TYPICAL` words, without its capital and full stop."""
    captions = [captions[0] for captions in faces.captions[:LOOKED_AT] if captions]
    typical = min(filter(is_known, captions), key=lambda caption: abs(len(caption.split()) - TYPICAL), default=None)
    return typical if typical is None else plain(typical)


def plain(caption: str) -> str:
    """A caption as people would type it on one line."""
    words = " ".join(caption.split()).removesuffix(".")
    return words[:1].lower() + words[1:]


def require_captions(faces: Faces) -> None:
    """Raise `UserError` for faces that nobody described."""
    instead = "choose conditioning=attributes" if len(faces.attribute_names) else "write some"
    require(any(faces.captions), f"These data have no descriptions to learn from: {instead}.")


class TokenConditioner(TextConditioner):
    """The words of a caption as token ids (max_tokens,), for an encoder that learns with the GAN.

    Descriptions are read by `Reader`, to their end: the rows of long ones are longer.
    """

    def __init__(self, tokenizer: WordTokenizer, example: str | None = None) -> None:
        """`example`: a description in words that the tokenizer knows."""
        self.tokenizer = tokenizer
        self.reader = Reader(tokenizer)
        self.size = len(tokenizer)
        self.summary = f"{len(tokenizer):,} words"
        self.example = example or self._own_example()

    @classmethod
    def fit(cls, faces: Faces, vocabulary: int, max_tokens: int) -> TokenConditioner:
        """Learn the words of the captions. Raises `UserError` where none that is kept says anything."""
        require_captions(faces)
        captions = (caption for captions in faces.captions for caption in captions)
        tokenizer = WordTokenizer.train(captions, vocabulary, max_tokens)
        reader = Reader(tokenizer)
        require(
            any(reader(word).understood for word in tokenizer.vocabulary),
            f"text.conditioner.vocabulary is {vocabulary:,}: that keeps words such as 'a' and 'with' alone, with which "
            "no face can be described; raise it.",
        )
        return cls(tokenizer, typical_caption(faces, lambda caption: reader(caption).as_written))

    def rows(self, captions: list[str]) -> Tensor:
        return self.tokenizer(captions)

    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        for number, description in enumerate(descriptions, start=1):
            require_words(description, number, self.example)
        return self.tokenizer.rows_of([self.reader(description).words for description in descriptions])

    def notes(self, description: str) -> list[str]:
        reading = self.reader(description)
        if not reading.understood:
            unlike = f"The model was trained on none of the words of {quoted(description)}"
            unseen = f", since its training data say nothing of {' or '.join(reading.unseen)}" if reading.unseen else ""
            wrong = f"{unlike}{unseen}" if any(map(str.isalnum, description)) else f"{quoted(description)} has no words"
            raise UserError(
                f"{wrong}: describe the face in words that it knows, such as {quoted(self.example)}. It knows of "
                f"{self._some_words()}; t2f words shows them all."
            )
        return reading.notes

    def known(self) -> dict[str, list[str]]:
        return self.reader.groups()

    def _some_words(self) -> str:
        """The first words of each topic, the most frequent ones, in parentheses."""
        return "; ".join(f"{topic} ({', '.join(words[:4])})" for topic, words in self.known().items())

    def _own_example(self) -> str:
        """For models that keep none: the usual description, if they know its words, or else their most frequent one."""
        if self.reader(TextConditioner.example).as_written:
            return TextConditioner.example
        by_number = sorted(self.tokenizer.vocabulary.items(), key=lambda each: each[1])
        return next((word for word, _ in by_number if word.isalpha() and self.reader(word).understood), "face")

    @property
    def recipe(self) -> str:
        return f"""\
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_str(config["conditioner"]["tokenizer"])
tokenizer.encode_special_tokens = True
tokenizer.no_truncation()
unknown = tokenizer.token_to_id("[UNK]")
ids = tokenizer.encode({json.dumps(self.example)}).ids
condition = np.array([[number for number in ids if number != unknown]], dtype=np.int64)"""

    def state(self) -> dict[str, Any]:
        return {
            "tokenizer": self.tokenizer.to_json(),
            "max_tokens": self.tokenizer.max_tokens,
            "example": self.example,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(WordTokenizer.from_json(state["tokenizer"], state["max_tokens"]), state.get("example"))

"""Text as conditions: the base class of text conditioners, and the conditioner of token ids."""

from __future__ import annotations

import itertools
import json
import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from t2f.conditioning.base import Conditioner, Conditions, ExamplePrompt, PromptSet, quoted, require_words
from t2f.data.captions.generate import generate_caption
from t2f.data.faces import Faces
from t2f.text.reader import DescriptionReader
from t2f.text.tokenizer import WordTokenizer
from t2f.utils.errors import UserError, require

MAX_EXAMPLE_FACES = 1000  # faces whose captions are candidates for the example
EXAMPLE_LENGTH = 8  # words


class TextConditioner(Conditioner):
    """Base class of conditioners on captions. A face has one condition for each of its captions."""

    example = "a smiling woman with long red hair and glasses"

    @abstractmethod
    def encode_captions(self, captions: list[str]) -> Tensor:
        """Encode all captions of a data set as conditions (M, ...). The result may be cached."""

    def count_described(self, faces: Faces) -> int:
        return sum(map(bool, faces.captions))

    def conditions_of(self, faces: Faces) -> Conditions:
        captions = [caption for captions in faces.captions for caption in captions]
        counts = np.array([len(each) for each in faces.captions])
        return Conditions(self.encode_captions(captions), counts, np.zeros(len(captions), np.int64))

    def examples(self, faces: Faces, count: int) -> list[ExamplePrompt]:
        """Return the first captions of the first described faces."""
        captioned = (ExamplePrompt(captions[0], face) for face, captions in enumerate(faces.captions) if captions)
        return list(itertools.islice(captioned, count))

    def prompt_set(self, faces: Faces, count: int, seed: int) -> PromptSet:
        """Generate sentences from the attributes; choose captions of the faces if no sentence states an attribute."""
        names = list(faces.attribute_names)
        expected = torch.full((count, len(names)), -1, dtype=torch.int8)
        chosen = np.arange(count) % len(faces)
        descriptions = []
        for row, face in enumerate(chosen):
            attributes = dict(zip(names, map(int, faces.attributes[face]), strict=True))
            caption = generate_caption(attributes, random.Random(f"evaluation {seed} {row}"))
            descriptions.append(caption.text)
            for name, value in caption.expected.items():
                expected[row, names.index(name)] = value
        if (expected >= 0).any():
            return PromptSet(descriptions, chosen, expected)
        captioned = np.array([face for face, captions in enumerate(faces.captions) if captions])
        require(len(captioned) > 0, "None of the held-out faces has a caption, so the text cannot be evaluated.")
        chosen = captioned[np.arange(count) % len(captioned)]
        return PromptSet(
            [random.Random(f"{seed} {row}").choice(faces.captions[int(face)]) for row, face in enumerate(chosen)],
            chosen,
            expected,
        )


def typical_caption(faces: Faces, is_known: Callable[[str], bool]) -> str | None:
    """Choose an example description among the captions.

    Args:
        faces: The training faces.
        is_known: Whether the model understands a caption.

    Returns:
        The known caption whose length is nearest to `EXAMPLE_LENGTH` words, without its capital letter and full stop;
        None if no caption is known.
    """
    captions = [captions[0] for captions in faces.captions[:MAX_EXAMPLE_FACES] if captions]
    typical = min(
        filter(is_known, captions), key=lambda caption: abs(len(caption.split()) - EXAMPLE_LENGTH), default=None
    )
    return typical if typical is None else _as_prompt(typical)


def _as_prompt(caption: str) -> str:
    """Write a caption on one line, without its capital letter and full stop."""
    text = " ".join(caption.split()).removesuffix(".")
    return text[:1].lower() + text[1:]


def require_captions(faces: Faces) -> None:
    """Raise `UserError` if no face has a caption."""
    instead = "choose conditioning=attributes" if len(faces.attribute_names) else "add some"
    require(any(faces.captions), f"The data have no captions to train on: {instead}.")


class TokenConditioner(TextConditioner):
    """Encodes captions as token ids (max_tokens,), for a text encoder that is trained with the GAN.

    `DescriptionReader` rewrites descriptions in known words. It reads them to their end, so the rows of long
    descriptions are longer than `max_tokens`.

    Args:
        tokenizer: The trained tokenizer.
        example: A description in known words; None: choose one.
    """

    def __init__(self, tokenizer: WordTokenizer, example: str | None = None) -> None:
        self.tokenizer = tokenizer
        self.reader = DescriptionReader(tokenizer)
        self.size = len(tokenizer)
        self.summary = f"{len(tokenizer):,} words"
        self.example = example or self._default_example()

    @classmethod
    def fit(cls, faces: Faces, vocabulary: int, max_tokens: int) -> TokenConditioner:
        """Train the tokenizer on the captions.

        Args:
            faces: The training faces.
            vocabulary: Maximum number of token ids.
            max_tokens: Number of tokens to which training captions are padded or truncated.

        Raises:
            UserError: No face has a caption.
        """
        require_captions(faces)
        captions = (caption for captions in faces.captions for caption in captions)
        tokenizer = WordTokenizer.train(captions, vocabulary, max_tokens)
        reader = DescriptionReader(tokenizer)
        return cls(tokenizer, typical_caption(faces, lambda caption: reader(caption).as_written))

    def encode_captions(self, captions: list[str]) -> Tensor:
        return self.tokenizer(captions)

    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        for number, description in enumerate(descriptions, start=1):
            require_words(description, number, self.example)
        return self.tokenizer.encode_words([self.reader(description).words for description in descriptions])

    def notes(self, description: str) -> list[str]:
        reading = self.reader(description)
        if not reading.understood:
            if any(map(str.isalnum, description)):
                problem = f"The model was trained on none of the words of {quoted(description)}"
                if reading.unknown_topics:
                    problem += f", since its training data say nothing of {' or '.join(reading.unknown_topics)}"
            else:
                problem = f"{quoted(description)} has no words"
            raise UserError(
                f"{problem}: describe the face in known words, such as {quoted(self.example)}. Known words are: "
                f"{self._some_words()}; t2f words lists all of them."
            )
        return reading.notes

    def known_words(self) -> dict[str, list[str]]:
        return self.reader.words_by_topic()

    def _some_words(self) -> str:
        """List the most frequent words of each topic, in parentheses."""
        return "; ".join(f"{topic} ({', '.join(words[:4])})" for topic, words in self.known_words().items())

    def _default_example(self) -> str:
        """Return the general example if its words are known, else the most frequent word."""
        if self.reader(TextConditioner.example).as_written:
            return TextConditioner.example
        by_id = sorted(self.tokenizer.vocabulary.items(), key=lambda item: item[1])
        return next((word for word, _ in by_id if word.isalpha() and self.reader(word).understood), "face")

    @property
    def example_code(self) -> str:
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
        return cls(WordTokenizer.from_json(state["tokenizer"], state["max_tokens"]), state["example"])

"""Captions to rows of token ids, with the `tokenizers` library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from t2f.text.synonyms import CONTRACTIONS
from t2f.utils.errors import UserError, require

PAD, UNKNOWN = "[PAD]", "[UNK]"
PAD_ID, UNKNOWN_ID = 0, 1
# What is neither letter nor number at the end (blanks, punctuation, emoji with what varies their looks, control
# characters), or the end itself. Marks are left, since they end words of many scripts.
NO_WORD = r"[\s\p{P}\p{S}\p{C}\x{FE0E}\x{FE0F}]"
ENDING = rf"(?<!{NO_WORD}){NO_WORD}*\z"
LONGEST = 10_000  # tokens


GENERATION = 3
"""How captions are normalized: the first left their ends as they are, the second their contractions and hyphens."""


def normalizing(generation: int, reading: bool = False) -> normalizers.Normalizer:
    """What is done to a caption, in order.

    To read what people type, contractions are written out for every generation; a hyphen is a blank for the third only,
    since the others learnt it as a word.
    """
    written_out = CONTRACTIONS if generation == GENERATION else CONTRACTIONS[:-1] if reading else ()
    patterns = [*written_out, *([(ENDING, " .")] if generation > 1 else [])]
    replacing = [normalizers.Replace(Regex(pattern), words) for pattern, words in patterns]
    return normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), *replacing])


def generation_of(saved: Any) -> int:
    """By the number of its normalizers, which is all that is taken of them."""
    return {2: 1, 3: 2}.get(len(saved["normalizer"]["normalizers"]), GENERATION)


class Token(NamedTuple):
    """A word or punctuation: as it is looked up, and as the caption spells it."""

    text: str
    spelt: str


class WordTokenizer:
    """Words of the training captions, lower-cased, the most frequent `vocabulary` of them.

    Padding has id 0, unknown words id 1. Rows of training captions are `max_tokens` long; longer captions are cut.
    However else a caption ends, it is read as ending in one full stop: those of training mostly do, and what people
    type mostly not. Contractions are written out ("isn't" is "is not"), and hyphens between words are blanks.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, generation: int = GENERATION) -> None:
        require(
            1 <= max_tokens <= LONGEST,
            f"text.conditioner.max_tokens is {max_tokens}: it must be from 1 to {LONGEST:,}.",
        )
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.vocabulary: dict[str, int] = tokenizer.get_vocab()
        tokenizer.normalizer = normalizing(generation)
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        self.whole = Tokenizer(tokenizer.model)  # the same, without a limit
        self.whole.normalizer = normalizing(generation, reading=True)
        self.whole.pre_tokenizer = tokenizer.pre_tokenizer
        # A caption that spells a special token means its letters.
        tokenizer.encode_special_tokens = True
        tokenizer.enable_truncation(max_tokens)
        tokenizer.enable_padding(pad_id=PAD_ID, pad_token=PAD, length=max_tokens)

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary: int, max_tokens: int) -> WordTokenizer:
        """Learn the words of `captions`."""
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        tokenizer.normalizer = normalizing(GENERATION)
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, special_tokens=[PAD, UNKNOWN], show_progress=False)
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer, max_tokens)

    @classmethod
    def from_json(cls, text: str, max_tokens: int) -> WordTokenizer:
        """The tokenizer that `to_json` wrote, or an older one, which reads captions as it did when it was trained.

        Of the text, which anyone may have written, only the words are taken.
        """
        saved = json.loads(text)
        tokenizer = Tokenizer(models.WordLevel(saved["model"]["vocab"], unk_token=UNKNOWN))
        tokenizer.add_special_tokens([PAD, UNKNOWN])
        return cls(tokenizer, max_tokens, generation_of(saved))

    def to_json(self) -> str:
        return str(self.tokenizer.to_str())

    def __len__(self) -> int:
        """Number of token ids, padding and unknown included."""
        return len(self.vocabulary)

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """N captions -> int64 token ids (N, max_tokens). Raises `UserError` for a caption without a word."""
        for number, caption in enumerate(captions, start=1):
            if not caption.strip():
                raise UserError(f"Description {number} is empty: write at least one word.")
        encodings = self.tokenizer.encode_batch(list(captions))
        rows = torch.tensor([encoding.ids for encoding in encodings], dtype=torch.int64)
        return rows.reshape(len(captions), self.max_tokens)

    def tokens(self, caption: str) -> list[Token]:
        """All words and punctuation of a caption, however long it is and whether they are known."""
        normalized = self.whole.normalizer.normalize_str(caption)
        spans = self.whole.encode(caption).offsets
        words = [word for word, _ in self.whole.pre_tokenizer.pre_tokenize_str(normalized)]
        return [Token(word, caption[start:end]) for word, (start, end) in zip(words, spans, strict=True)]

    def rows_of(self, sentences: Sequence[Sequence[str]]) -> Tensor:
        """N lists of known words -> int64 token ids (N, L), where L is the longest one's, at least `max_tokens`."""
        ids = [torch.tensor([self.vocabulary[word] for word in words], dtype=torch.int64) for words in sentences]
        room = torch.zeros(self.max_tokens, dtype=torch.int64)
        return pad_sequence([room, *ids], batch_first=True, padding_value=PAD_ID)[1:]

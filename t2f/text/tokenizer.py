"""Captions to rows of token ids, with the `tokenizers` library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from t2f.errors import UserError, require

PAD, UNKNOWN = "[PAD]", "[UNK]"
PAD_ID, UNKNOWN_ID = 0, 1
# What is neither letter nor number at the end (blanks, punctuation, emoji with what varies their looks, control
# characters), or the end itself. Marks are left, since they end words of many scripts.
NO_WORD = r"[\s\p{P}\p{S}\p{C}\x{FE0E}\x{FE0F}]"
ENDING = rf"(?<!{NO_WORD}){NO_WORD}*\z"
LONGEST = 10_000  # tokens


def normalizing(one_ending: bool) -> list[normalizers.Normalizer]:
    """What is done to a caption, in order."""
    ending = [normalizers.Replace(Regex(ENDING), " .")] if one_ending else []
    return [normalizers.NFKC(), normalizers.Lowercase(), *ending]


def prepare(tokenizer: Tokenizer, one_ending: bool) -> None:
    """Set how a caption is made into words."""
    tokenizer.normalizer = normalizers.Sequence(normalizing(one_ending))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()


class WordTokenizer:
    """Words of the training captions, lower-cased, the most frequent `vocabulary` of them.

    Padding has id 0, unknown words id 1. Rows are `max_tokens` long; longer captions are cut. However else a
    caption ends, it is read as ending in one full stop: those of training mostly do, and what people type mostly not.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        require(
            1 <= max_tokens <= LONGEST,
            f"text.conditioner.max_tokens is {max_tokens}: it must be from 1 to {LONGEST:,}.",
        )
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        # A caption that spells a special token means its letters.
        tokenizer.encode_special_tokens = True
        tokenizer.enable_truncation(max_tokens)
        tokenizer.enable_padding(pad_id=PAD_ID, pad_token=PAD, length=max_tokens)

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary: int, max_tokens: int) -> WordTokenizer:
        """Learn the words of `captions`."""
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        prepare(tokenizer, one_ending=True)
        trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, special_tokens=[PAD, UNKNOWN], show_progress=False)
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer, max_tokens)

    @classmethod
    def from_json(cls, text: str, max_tokens: int) -> WordTokenizer:
        """The tokenizer that `to_json` wrote, or an older one, which reads a caption's end as it is written.

        Of the text, which anyone may have written, only the words are taken.
        """
        saved = json.loads(text)
        tokenizer = Tokenizer(models.WordLevel(saved["model"]["vocab"], unk_token=UNKNOWN))
        tokenizer.add_special_tokens([PAD, UNKNOWN])
        prepare(tokenizer, one_ending=len(saved["normalizer"]["normalizers"]) == len(normalizing(one_ending=True)))
        return cls(tokenizer, max_tokens)

    def to_json(self) -> str:
        return str(self.tokenizer.to_str())

    def __len__(self) -> int:
        """Number of token ids, padding and unknown included."""
        return int(self.tokenizer.get_vocab_size())

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """N captions -> int64 token ids (N, max_tokens). Raises `UserError` for a caption without a word."""
        for number, caption in enumerate(captions, start=1):
            if not caption.strip():
                raise UserError(f"Description {number} is empty: write at least one word, such as 'a smiling woman'.")
        encodings = self.tokenizer.encode_batch(list(captions))
        rows = torch.tensor([encoding.ids for encoding in encodings], dtype=torch.int64)
        return rows.reshape(len(captions), self.max_tokens)

    def unknown_words(self, caption: str) -> list[str]:
        """The words of a caption that no training caption had, in order; punctuation does not count."""
        return [word for token, word in self._words(caption) if token == UNKNOWN_ID]

    def knows_a_word_of(self, caption: str) -> bool:
        """Whether a training caption had any of a caption's words."""
        return any(token != UNKNOWN_ID for token, _ in self._words(caption))

    def nearest(self, word: str) -> str | None:
        """The known word that is spelt most like this one, if one nearly is: "mustache" for "moustache"."""
        return next(iter(get_close_matches(word.lower(), self.tokenizer.get_vocab(), n=1, cutoff=0.8)), None)

    def _words(self, caption: str) -> list[tuple[int, str]]:
        """Ids and words, these as the caption spells them where no id tells them."""
        encoding = self.tokenizer.encode(caption)
        spans = zip(encoding.ids, encoding.tokens, encoding.offsets, strict=True)
        words = [(token, caption[start:end] if token == UNKNOWN_ID else word) for token, word, (start, end) in spans]
        return [(token, word) for token, word in words if token != PAD_ID and any(letter.isalnum() for letter in word)]

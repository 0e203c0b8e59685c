"""Captions to rows of token ids, with the `tokenizers` library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from t2f.text.synonyms import CONTRACTIONS
from t2f.utils.errors import UserError

PAD, UNKNOWN = "[PAD]", "[UNK]"
PAD_ID, UNKNOWN_ID = 0, 1
# At the end of a caption: blanks, punctuation, symbols, emoji with their variation selectors, and control characters.
# Combining marks are not in it, since words of many scripts end in one.
NO_WORD = r"[\s\p{P}\p{S}\p{C}\x{FE0E}\x{FE0F}]"
ENDING = rf"(?<!{NO_WORD}){NO_WORD}*\z"
MAX_TOKENS = 10_000  # the largest row length


def create_normalizer() -> normalizers.Normalizer:
    """Create the normalizer of captions. It expands contractions and hyphens, and ends each caption in a full stop."""
    patterns = [*CONTRACTIONS, (ENDING, " .")]
    replacements = [normalizers.Replace(Regex(pattern), words) for pattern, words in patterns]
    return normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), *replacements])


class Token(NamedTuple):
    """A word or punctuation mark: its normalized text, and its spelling in the caption."""

    text: str
    spelling: str


class WordTokenizer:
    """Splits captions into lower-case words and maps the most frequent ones to token ids.

    Padding has id 0, unknown words have id 1. Rows of training captions have the length `max_tokens`; longer captions
    are truncated. The end of a caption is always read as one full stop: most training captions have one, most
    descriptions of users do not. Contractions are expanded ("isn't" to "is not"), and hyphens between words are
    blanks.

    Args:
        tokenizer: A word-level tokenizer. Its normalizer, pre-tokenizer, truncation and padding are set here.
        max_tokens: Length of a row, in [1, 10000].

    Raises:
        ValueError: `max_tokens` is out of range.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        if not 1 <= max_tokens <= MAX_TOKENS:
            raise ValueError(f"max_tokens must be from 1 to {MAX_TOKENS:,}, but is {max_tokens}")
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.vocabulary: dict[str, int] = tokenizer.get_vocab()
        tokenizer.normalizer = create_normalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        self.untruncated = Tokenizer(tokenizer.model)
        self.untruncated.normalizer = tokenizer.normalizer
        self.untruncated.pre_tokenizer = tokenizer.pre_tokenizer
        # The text of a special token in a caption is ordinary text.
        tokenizer.encode_special_tokens = True
        tokenizer.enable_truncation(max_tokens)
        tokenizer.enable_padding(pad_id=PAD_ID, pad_token=PAD, length=max_tokens)

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary: int, max_tokens: int) -> WordTokenizer:
        """Create a tokenizer for the words of captions.

        Args:
            captions: The training captions.
            vocabulary: Maximum number of token ids. The most frequent words are kept.
            max_tokens: See the class.
        """
        tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
        tokenizer.normalizer = create_normalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=vocabulary, special_tokens=[PAD, UNKNOWN], show_progress=False)
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer, max_tokens)

    @classmethod
    def from_json(cls, text: str, max_tokens: int) -> WordTokenizer:
        """Load a tokenizer from the output of `to_json`. Checkpoints are untrusted, so only the vocabulary is read."""
        saved = json.loads(text)
        tokenizer = Tokenizer(models.WordLevel(saved["model"]["vocab"], unk_token=UNKNOWN))
        tokenizer.add_special_tokens([PAD, UNKNOWN])
        return cls(tokenizer, max_tokens)

    def to_json(self) -> str:
        """Return the tokenizer in the JSON format of the `tokenizers` library."""
        return str(self.tokenizer.to_str())

    def __len__(self) -> int:
        """Return the number of token ids, including padding and unknown."""
        return len(self.vocabulary)

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """Encode N captions as int64 token ids (N, max_tokens).

        Raises:
            UserError: A caption is empty.
        """
        for number, caption in enumerate(captions, start=1):
            if not caption.strip():
                raise UserError(f"Description {number} is empty: write at least one word.")
        encodings = self.tokenizer.encode_batch(list(captions))
        rows = torch.tensor([encoding.ids for encoding in encodings], dtype=torch.int64)
        return rows.reshape(len(captions), self.max_tokens)

    def tokens(self, caption: str) -> list[Token]:
        """Split a caption into all of its words and punctuation marks, known or not, without truncation."""
        normalized = self.untruncated.normalizer.normalize_str(caption)
        spans = self.untruncated.encode(caption).offsets
        words = [word for word, _ in self.untruncated.pre_tokenizer.pre_tokenize_str(normalized)]
        return [Token(word, caption[start:end]) for word, (start, end) in zip(words, spans, strict=True)]

    def encode_words(self, sentences: Sequence[Sequence[str]]) -> Tensor:
        """Encode N lists of known words as int64 token ids (N, L). L is the longest length, at least `max_tokens`."""
        ids = [torch.tensor([self.vocabulary[word] for word in words], dtype=torch.int64) for words in sentences]
        min_row = torch.zeros(self.max_tokens, dtype=torch.int64)
        return pad_sequence([min_row, *ids], batch_first=True, padding_value=PAD_ID)[1:]

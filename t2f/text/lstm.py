"""The LSTM text encoder, learnt with the GAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from t2f.errors import require


class LSTMEncoder(nn.Module):
    """Token ids (B, L), 0 for padding -> embeddings (B, hidden_dim): the top layer's state at the last word.

    With `bidirectional` each direction has half of the embedding: first the state at the last word of the LSTM that
    reads forwards, then the state at the first word of the one that reads backwards. An odd `hidden_dim` then raises
    `UserError`.

    Sequences are packed, so padding never changes an embedding.
    """

    def __init__(
        self, vocabulary: int, word_dim: int, hidden_dim: int, layers: int, bidirectional: bool = False
    ) -> None:
        super().__init__()
        require(
            not bidirectional or hidden_dim % 2 == 0,
            f"text.encoder.hidden_dim={hidden_dim} is odd, but text.encoder.bidirectional=true gives half of it to "
            "each direction: choose an even number.",
        )
        self.words = nn.Embedding(vocabulary, word_dim, padding_idx=0)
        self.lstm = nn.LSTM(
            word_dim,
            hidden_dim // 2 if bidirectional else hidden_dim,
            num_layers=layers,
            batch_first=True,
            bidirectional=bidirectional,
        )

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(dim=1).clamp(min=1).cpu()
        packed = pack_padded_sequence(self.words(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        directions = 2 if self.lstm.bidirectional else 1
        return torch.cat(list(hidden[-directions:]), dim=1).float()

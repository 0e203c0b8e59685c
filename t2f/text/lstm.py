"""The LSTM text encoder, learnt with the GAN."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence


class LSTMEncoder(nn.Module):
    """Token ids (B, L), 0 for padding -> embeddings (B, hidden_dim): the top layer's state at the last word.

    Sequences are packed, so padding never changes an embedding.
    """

    def __init__(self, vocabulary: int, word_dim: int, hidden_dim: int, layers: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, word_dim, padding_idx=0)
        self.lstm = nn.LSTM(word_dim, hidden_dim, num_layers=layers, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(dim=1).clamp(min=1).cpu()
        packed = pack_padded_sequence(self.words(tokens), lengths, batch_first=True, enforce_sorted=False)
        _, (hidden, _) = self.lstm(packed)
        return hidden[-1].float()

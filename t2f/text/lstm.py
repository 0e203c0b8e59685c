"""The LSTM text encoder, trained with the GAN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.utils.private_api import scan

MAX_LAYERS = 16
DIRECTIONS = ("", "_reverse")
"""Suffixes of the names of weights."""


class LSTMEncoder(nn.Module):
    """Encodes token ids (B, L), with 0 for padding, as the final hidden states of an LSTM's top layer.

    Padding does not change an embedding. The LSTM reads padded rows, and the state at each row's last word is selected:
    oneDNN then processes the whole batch at once, three times as fast on a CPU as packed sequences
    (`experiments/threads`), and CUDA graphs can record it. To read backward, the words of each row are reversed.
    `torch.export` fixes the length of an LSTM's input, so an export computes the same states word by word.

    Args:
        vocabulary: Number of token ids, including padding.
        word_dim: Length of a word embedding.
        hidden_dim: Length of the text embedding.
        layers: Number of LSTM layers, in [1, 16].
        bidirectional: Read in both directions. The embedding is the forward state at the last word and the backward
            state at the first word, of hidden_dim / 2 values each.

    Raises:
        ValueError: `layers` is out of range, or `hidden_dim` is odd with `bidirectional`.
    """

    def __init__(
        self, vocabulary: int, word_dim: int, hidden_dim: int, layers: int, bidirectional: bool = False
    ) -> None:
        super().__init__()
        if bidirectional and hidden_dim % 2:
            raise ValueError(
                f"hidden_dim must be even, but is {hidden_dim}: with bidirectional=true each direction has half of it."
            )
        if not 1 <= layers <= MAX_LAYERS:
            raise ValueError(f"layers must be from 1 to {MAX_LAYERS}, but is {layers}.")
        self.words = nn.Embedding(vocabulary, word_dim, padding_idx=0)
        self.lstm = nn.LSTM(
            word_dim,
            hidden_dim // 2 if bidirectional else hidden_dim,
            num_layers=layers,
            batch_first=True,
            bidirectional=bidirectional,
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map token ids int64 (B, L) to text embeddings float32 (B, hidden_dim)."""
        lengths = (tokens != 0).sum(dim=1).clamp(min=1)
        if torch.compiler.is_exporting():
            last = self._word_by_word(tokens, lengths)[-2 if self.lstm.bidirectional else -1 :]
        else:
            read = self._in_both_directions if self.lstm.bidirectional else self._forward
            rows = torch.arange(len(tokens), device=tokens.device)
            # CUDA's autocast runs LSTMs in float16, whose gradients underflow, also if the run is in bfloat16.
            with torch.autocast("cuda", enabled=False):
                outputs = read(trim_padding(tokens, lengths), lengths)
            last = [states[rows, lengths - 1] for states in outputs]
        return torch.cat(last, dim=1).float()

    def _forward(self, tokens: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return the states (B, L, width) of the top layer."""
        return [self.lstm(self.words(tokens))[0]]

    def _in_both_directions(self, tokens: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return the states (B, L, width) of the top layer after each word, in the order of reading."""
        place = torch.arange(tokens.shape[1], device=tokens.device)
        reverse = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)[:, :, None]
        inputs = self.words(tokens)
        zeros = inputs.new_zeros(1, len(tokens), self.lstm.hidden_size)
        for layer in range(self.lstm.num_layers):
            backward = inputs.gather(1, reverse.expand_as(inputs))
            states = [
                torch.lstm(
                    each, (zeros, zeros), self._weights(layer, direction), True, 1, 0.0, self.training, False, True
                )[0]
                for each, direction in zip((inputs, backward), DIRECTIONS, strict=True)
            ]
            inputs = torch.cat([states[0], states[1].gather(1, reverse.expand_as(states[1]))], dim=2)
        return states

    def _weights(self, layer: int, direction: str) -> list[Tensor]:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [getattr(self.lstm, f"{kind}_l{layer}{direction}") for kind in kinds]

    def _word_by_word(self, tokens: Tensor, lengths: Tensor) -> list[Tensor]:
        """Return the final hidden states (B, width) of each layer and direction. Padding leaves a state unchanged."""
        states = self.words(tokens).transpose(0, 1)
        is_word = (torch.arange(tokens.shape[1], device=tokens.device)[:, None] < lengths)[:, :, None]
        zeros = states.new_zeros(tokens.shape[0], self.lstm.hidden_size)
        last = []
        for layer in range(self.lstm.num_layers):
            outputs = []
            for direction in DIRECTIONS[: 2 if self.lstm.bidirectional else 1]:
                weight_ih, weight_hh, bias_ih, bias_hh = self._weights(layer, direction)
                inputs = [F.linear(states, weight_ih, bias_ih + bias_hh), is_word]
                if direction:
                    inputs = [each.flip(0) for each in inputs]
                final, _, output = scan(lstm_step, [zeros, zeros.clone()], inputs, (weight_hh,))
                last.append(final)
                outputs.append(output.flip(0) if direction else output)
            states = torch.cat(outputs, dim=2)
        return last


def trim_padding(tokens: Tensor, lengths: Tensor) -> Tensor:
    """Cut padding behind the longest row on a CPU. On other devices, reading the length would wait for the device."""
    return tokens[:, : int(lengths.max())] if tokens.device.type == "cpu" else tokens


def lstm_step(hidden: Tensor, cell: Tensor, gates: Tensor, is_word: Tensor, weight_hh: Tensor) -> list[Tensor]:
    """Compute one step of `torch.nn.LSTM`, with its equations and its order of gates.

    Args:
        hidden: float (B, width).
        cell: float (B, width).
        gates: float (B, 4 * width), the input's part of the gates, with both biases.
        is_word: bool (B, 1). Padding keeps hidden and cell state.
        weight_hh: float (4 * width, width).

    Returns:
        The new hidden state, the new cell state and, as the output, a copy of the hidden state.
    """
    input_gate, forget_gate, candidate, output_gate = (gates + F.linear(hidden, weight_hh)).chunk(4, dim=1)
    new_cell = forget_gate.sigmoid() * cell + input_gate.sigmoid() * candidate.tanh()
    hidden = torch.where(is_word, output_gate.sigmoid() * new_cell.tanh(), hidden)
    return [hidden, torch.where(is_word, new_cell, cell), hidden.clone()]

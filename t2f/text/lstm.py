"""The LSTM text encoder, learnt with the GAN."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan_op
from torch.nn.utils.rnn import pack_padded_sequence

from t2f.utils.errors import require

MOST_LAYERS = 16


class LSTMEncoder(nn.Module):
    """Token ids (B, L), 0 for padding -> embeddings (B, hidden_dim): the top layer's state at the last word.

    With `bidirectional` each direction has half of the embedding: first the state at the last word of the LSTM that
    reads forwards, then the state at the first word of the one that reads backwards. An odd `hidden_dim` then raises
    `UserError`.

    Padding never changes an embedding. What reads forwards only reads all rows to the end of the longest, and its state
    at each row's own last word is taken: oneDNN then reads a batch at once, which a CPU does three times as fast as it
    reads packed sequences (`experiments/threads`). Those are for reading backwards, which must begin at the last word.
    `torch.export` cannot follow packing: what it is given instead goes word by word, to the same end.
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
        require(1 <= layers <= MOST_LAYERS, f"text.encoder.layers={layers} must be from 1 to {MOST_LAYERS}.")
        self.words = nn.Embedding(vocabulary, word_dim, padding_idx=0)
        self.lstm = nn.LSTM(
            word_dim,
            hidden_dim // 2 if bidirectional else hidden_dim,
            num_layers=layers,
            batch_first=True,
            bidirectional=bidirectional,
        )

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != 0).sum(dim=1).clamp(min=1)
        if torch.compiler.is_exporting():
            last = self._word_by_word(tokens, lengths)
        elif self.lstm.bidirectional:
            packed = pack_padded_sequence(self.words(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False)
            last = list(self.lstm(packed)[1][0])
        else:
            states, _ = self.lstm(self.words(tokens[:, : int(lengths.max())]))
            last = [states[torch.arange(len(tokens), device=tokens.device), lengths - 1]]
        directions = 2 if self.lstm.bidirectional else 1
        return torch.cat(last[-directions:], dim=1).float()

    def _word_by_word(self, tokens: Tensor, lengths: Tensor) -> list[Tensor]:
        """The states (B, width) after the last step of each layer and direction; padding leaves a state as it is.

        `scan_op` is what `torch.scan` calls, once it has compiled the step: that is not needed here, and takes seconds.
        """
        states = self.words(tokens).transpose(0, 1)
        is_word = (torch.arange(tokens.shape[1], device=tokens.device)[:, None] < lengths)[:, :, None]
        nothing = states.new_zeros(tokens.shape[0], self.lstm.hidden_size)
        last = []
        for layer in range(self.lstm.num_layers):
            read = []
            for direction in ("", "_reverse") if self.lstm.bidirectional else ("",):
                names = (f"{kind}_l{layer}{direction}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
                of_input, of_state, input_bias, state_bias = (getattr(self.lstm, name) for name in names)
                rows = [F.linear(states, of_input, input_bias + state_bias), is_word]
                if direction:
                    rows = [row.flip(0) for row in rows]
                end, _, each = scan_op(lstm_step, [nothing, nothing.clone()], rows, (of_state,))
                last.append(end)
                read.append(each.flip(0) if direction else each)
            states = torch.cat(read, dim=2)
        return last


def lstm_step(state: Tensor, cell: Tensor, gates: Tensor, is_word: Tensor, of_state: Tensor) -> list[Tensor]:
    """One word: state and cell (B, width), the input's part of the gates (B, 4 * width) -> state, cell, and state.

    The equations are those of `torch.nn.LSTM`, in its order of gates.
    """
    take, keep, new, show = (gates + F.linear(state, of_state)).chunk(4, dim=1)
    after = keep.sigmoid() * cell + take.sigmoid() * new.tanh()
    state = torch.where(is_word, show.sigmoid() * after.tanh(), state)
    return [state, torch.where(is_word, after, cell), state.clone()]

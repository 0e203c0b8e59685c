"""Time the LSTM on packed sequences and on a batch cut at its longest row: python experiments/threads/lstm.py

Forward and backward passes over 40 batches of 16 rows that are as long as captions of synthetic faces, on one thread,
in turn. Prints CPU milliseconds for each batch.
"""

import random
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence

from t2f.data.datasets.avatars import caption, sample_face
from t2f.text.lstm import LSTMEncoder

ROUNDS = 5


def batches(count: int, rows: int = 16, words: int = 150) -> list[Tensor]:
    """Return batches of random token ids in rows that are as long as captions."""
    rng = random.Random(0)
    torch.manual_seed(0)
    made = torch.randint(1, words, (count, rows, 50))
    for batch in made:
        for row in batch:
            row[len(caption(sample_face(rng)[0], rng).split()) :] = 0
    return list(made)


def packed(encoder: LSTMEncoder, tokens: Tensor) -> Tensor:
    lengths = (tokens != 0).sum(dim=1)
    sequence = pack_padded_sequence(encoder.words(tokens), lengths, batch_first=True, enforce_sorted=False)
    return encoder.lstm(sequence)[1][0][-1].float()


def milliseconds(encode: Callable[[Tensor], Tensor], data: list[Tensor], half: bool) -> float:
    start = time.process_time()
    for tokens in data:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            embedding = encode(tokens)
        embedding.square().sum().backward()
    return 1000 * (time.process_time() - start) / len(data)


def main() -> None:
    torch.set_num_threads(1)
    encoder = LSTMEncoder(vocabulary=150, word_dim=64, hidden_dim=128, layers=1)
    data = batches(40)
    longest = statistics.mean(int((tokens != 0).sum(dim=1).max()) for tokens in data)
    print(f"The longest row of a batch has {longest:.1f} words on average.")
    encoders = {"packed": lambda tokens: packed(encoder, tokens), "as a batch": encoder}
    for half in (False, True):
        taken: dict[str, list[float]] = {name: [] for name in encoders}
        for number in range(ROUNDS + 1):
            for name, encode in encoders.items():
                value = milliseconds(encode, data, half)
                if number:  # the first round warms up
                    taken[name].append(value)
        print("bf16" if half else "float32", {name: round(statistics.median(each), 1) for name, each in taken.items()})


if __name__ == "__main__":
    main()

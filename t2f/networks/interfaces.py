"""What every generator and every discriminator offers, so that one training step serves them all.

A *picture* is what a generator draws and a discriminator sees: images (B, 3, r, r), about [-1, 1], or
whatever else the two agree on, as long as its rows are the batch.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

Alpha = float | Tensor
"""How much the newest layers count: 1 where they are no longer new, else a number below 1, or a tensor () of it, as
compiled code needs it, which would be made anew for each number."""


class Generator(nn.Module):
    """Condition and noise -> picture."""

    noise_dim: int
    max_resolution: int
    grows: bool
    """Whether it can also draw at lower resolutions than its last."""

    memory_format: torch.memory_format = torch.channels_last
    """How maps are laid out, within."""

    @abstractmethod
    def forward(self, condition: Tensor, noise: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        """(B, condition_dim), (B, noise_dim) -> picture; its newest layers count `alpha`."""

    def image(self, picture: Tensor) -> Tensor:
        """The final image (B, 3, r, r) of a picture."""
        return picture


class Discriminator(nn.Module):
    """Picture and embedding -> scores (B,), unbounded: high is real and matching.

    In two parts, so that a picture that is judged with several embeddings is seen only once.
    """

    has_unconditional_score: bool = False
    """Whether it can judge a picture alone."""

    compares: bool = False
    """Whether it can compare all pictures of a batch with all its words."""

    memory_format: torch.memory_format = torch.channels_last
    """How maps are laid out, within."""

    classes: int | None = None
    """How many attributes it learns to tell, 0 where the data know none; None if it cannot."""

    @abstractmethod
    def picture(self, images: Tensor, resolution: int, alpha: float) -> Tensor:
        """Real images (B, 3, R, R), R a multiple of the resolution, as pictures like the generator's of now."""

    @abstractmethod
    def see(self, picture: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        """The part that needs no words: picture -> features (B, ...)."""

    @abstractmethod
    def judge(self, seen: Tensor, embedding: Tensor) -> Tensor:
        """The part that weighs features against an embedding (B, E): scores (B,)."""

    def judge_alone(self, seen: Tensor) -> Tensor:
        """Whether a picture is real, whatever the words: scores (B,)."""
        raise NotImplementedError

    def compare(self, seen: Tensor, embedding: Tensor) -> Tensor:
        """How well each picture fits each of the words (B, E), of all processes: (N, N), pictures in rows, logits."""
        raise NotImplementedError

    def classify(self, seen: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Which attributes pictures show, and words (N, E) tell of: logits (B, classes) and (N, classes)."""
        raise NotImplementedError

    def forward(self, picture: Tensor, embedding: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        return self.judge(self.see(picture, resolution, alpha), embedding)

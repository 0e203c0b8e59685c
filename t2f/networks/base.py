"""The interface of generators and discriminators, so that one training step serves them all.

A *sample* is what a generator produces and a discriminator takes: images (B, 3, r, r), about [-1, 1], or a flattened
pyramid of images (B, P).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

Alpha = float | Tensor
"""Fade-in weight of the newest layers, in [0, 1]. During a fade, steps that a CUDA graph records read it from a 0-d
tensor."""


class Generator(nn.Module):
    """Maps a condition and noise to samples.

    Attributes:
        noise_dim: Length of the noise vector z.
        max_resolution: Side of the largest image, in pixels.
        grows: Whether it also generates at resolutions below `max_resolution`.
        memory_format: Layout of feature maps.
    """

    noise_dim: int
    max_resolution: int
    grows: bool
    memory_format: torch.memory_format = torch.channels_last

    @abstractmethod
    def forward(self, condition: Tensor, noise: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        """Generate samples.

        Args:
            condition: float (B, condition_dim).
            noise: float (B, noise_dim), standard normal.
            resolution: Side of the largest image, in pixels.
            alpha: Fade-in weight of the newest layers.
        """

    def to_image(self, sample: Tensor) -> Tensor:
        """Return the image (B, 3, r, r) of the highest resolution in a sample."""
        return sample


class Head(nn.Module):
    """Computes scores from features and text embeddings. A subclass implements the scores that it has.

    Attributes:
        outputs: Names of the scores that this head computes.
    """

    outputs: frozenset[str] = frozenset({"conditional_logits"})

    @abstractmethod
    def conditional_logits(self, features: Tensor, text_embedding: Tensor) -> Tensor:
        """Score features (B, ...) with text embeddings (B, E): float32 (B,), high for real and matching."""

    def unconditional_logits(self, features: Tensor) -> Tensor:
        """Score features without text: float32 (B,), high for real."""
        raise NotImplementedError

    def similarity(self, features: Tensor, text_embedding: Tensor) -> Tensor:
        """Compare all samples (rows) with all texts (columns) of the global batch: float32 (N, N), logits."""
        raise NotImplementedError

    def attribute_logits(self, features: Tensor, text_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Classify attributes, of the samples and of the texts: float32 (B, A) each."""
        raise NotImplementedError


@dataclass(eq=False)
class DiscriminatorOutput:
    """Features of a batch of samples, and the scores of a head, each computed when it is first read.

    Attributes:
        head: Head that computes the scores; `head.outputs` are those that can be read.
        features: float (B, ...), of the samples alone.
        text_embedding: float (B, E), of the texts to score the samples with.
    """

    head: Head
    features: Tensor
    text_embedding: Tensor

    @cached_property
    def conditional_logits(self) -> Tensor:
        return self.head.conditional_logits(self.features, self.text_embedding)

    @cached_property
    def unconditional_logits(self) -> Tensor:
        return self.head.unconditional_logits(self.features)

    @cached_property
    def similarity(self) -> Tensor:
        return self.head.similarity(self.features, self.text_embedding)

    @cached_property
    def attribute_logits(self) -> tuple[Tensor, Tensor]:
        return self.head.attribute_logits(self.features, self.text_embedding)

    def with_text(self, text_embedding: Tensor) -> DiscriminatorOutput:
        """Return the output of the same samples with other texts (B, E)."""
        return replace(self, text_embedding=text_embedding)


class Discriminator(nn.Module):
    """Maps samples and text embeddings to features and scores.

    Attributes:
        head: Computes the scores.
        max_resolution: Side of the largest image, in pixels.
        memory_format: Layout of feature maps.
    """

    head: Head
    max_resolution: int
    memory_format: torch.memory_format = torch.channels_last

    @abstractmethod
    def to_sample(self, images: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        """Convert real images (B, 3, R, R), R a multiple of `resolution`, to samples like the generator's."""

    @abstractmethod
    def extract(self, sample: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        """Compute the features (B, ...) of samples, which do not depend on the text."""

    def forward(self, sample: Tensor, text_embedding: Tensor, resolution: int, alpha: Alpha) -> DiscriminatorOutput:
        """Compute the features of samples; their scores follow when they are read.

        Args:
            sample: float (B, ...), as `to_sample` or the generator returns them.
            text_embedding: float (B, E).
            resolution: Side of the largest image, in pixels.
            alpha: Fade-in weight of the newest layers.
        """
        return DiscriminatorOutput(self.head, self.extract(sample, resolution, alpha), text_embedding)

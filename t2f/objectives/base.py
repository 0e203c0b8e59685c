"""The interface of an objective: one term of the loss of the generator, of the discriminator, or of both."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from t2f.conditioning.augmentation import Moments
from t2f.networks.base import DiscriminatorOutput


@dataclass(eq=False)
class GANStep:
    """All that an objective may use: the B rows of this process in one step of one network.

    Attributes:
        discriminate: Maps samples (B, ...) and text embeddings (B, E) to the discriminator's output.
        real: float32 samples (B, ...).
        fake: float32 samples (B, ...), generated from `text_embedding`; detached in the discriminator's step.
        conditions: (B, ...), token ids or vectors, that the text embeddings are computed from.
        text_embedding: float (B, E). Row i describes real sample i if `labeled[i]`, else another image.
        mismatched_text: float (B, E), embeddings that do not describe the real samples; None in the generator's step,
            or if no objective uses them.
        labeled: bool (B,), at least one of them true.
        attributes: int8 (B, A), of the real samples: 1, 0, or -1 where unknown.
        noise: float (B, Z), that the fake samples are generated from; None in the discriminator's step.
        moments: Mean and log-variance (B, dim) of the augmented condition; None in the discriminator's step, or without
            conditioning augmentation.
        metrics: Scalars to log. Objectives may add to them.
    """

    discriminate: Callable[[Tensor, Tensor], DiscriminatorOutput]
    real: Tensor
    fake: Tensor
    conditions: Tensor
    text_embedding: Tensor
    mismatched_text: Tensor | None
    labeled: Tensor
    attributes: Tensor
    noise: Tensor | None = None
    moments: Moments | None = None
    metrics: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def real_output(self) -> DiscriminatorOutput:
        """The discriminator's output of the real samples."""
        return self.discriminate(self.real, self.text_embedding)

    @cached_property
    def fake_output(self) -> DiscriminatorOutput:
        """The discriminator's output of the fake samples."""
        return self.discriminate(self.fake, self.text_embedding)


class Objective(ABC):  # noqa: B024  # a subclass overrides one of the two methods, or both
    """A term of the loss. The total loss adds `weight * every * term` in every `every`-th step.

    Evaluating a term in only some steps is the lazy regularization of StyleGAN2 (Karras et al. 2020, arXiv:1912.04958,
    appendix B), without its change of Adam's settings.

    Args:
        weight: Factor of the term, 0 or above. A term of weight 0 is not evaluated.
        every: Steps between two evaluations, at least 1.

    Attributes:
        requires: Names of the discriminator's scores that the term reads.
        uses_mismatched_text: Whether it reads `GANStep.mismatched_text`.
        uses_unlabeled: Whether real samples without text contribute to it.

    Raises:
        ValueError: An argument is out of range.
    """

    requires: ClassVar[frozenset[str]] = frozenset()
    uses_mismatched_text: ClassVar[bool] = False
    uses_unlabeled: ClassVar[bool] = False

    def __init__(self, weight: float = 1.0, every: int = 1) -> None:
        if weight < 0:
            raise ValueError(f"weight is {weight}: it must be 0 or above.")
        if every < 1:
            raise ValueError(f"every is {every}: it must be at least 1.")
        self.weight = weight
        self.every = every

    def discriminator_loss(self, step: GANStep) -> Tensor | None:
        """Return the unweighted term of the discriminator's loss, a scalar; None if there is none."""
        return None

    def generator_loss(self, step: GANStep) -> Tensor | None:
        """Return the unweighted term of the generator's loss, a scalar; None if there is none."""
        return None


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average the values (B,) where the mask, bool (B,), is true. Unlike indexing, it does not wait for the device."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()

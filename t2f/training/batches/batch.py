"""The batch of a training step."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor


class Batch(TypedDict):
    """A training batch. Unlabeled rows have conditions that belong to other images.

    Attributes:
        images: uint8 (B, 3, R, R).
        conditions: (B, ...), token ids or vectors.
        attributes: int8 (B, A), of the images: 1, 0, or -1 if unknown.
        labeled: bool (B,), whether the condition describes the image.
    """

    images: Tensor
    conditions: Tensor
    attributes: Tensor
    labeled: Tensor

"""What the training step is given."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor


class Batch(TypedDict):
    """A training batch. Nothing is known of unlabeled images: their rows have conditions of other images."""

    images: Tensor  # uint8 (B, 3, R, R)
    conditions: Tensor  # (B, ...), token ids or vectors
    attributes: Tensor  # int8 (B, A), of the images: 1, 0, or -1 where unknown
    labeled: Tensor  # bool (B,), whether the condition describes the image

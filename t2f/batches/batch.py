"""What the training step is given."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor


class Batch(TypedDict):
    """A training batch. The first `labelled` pictures fit their conditions; of the others nothing is known.

    The conditions beside those are of other faces, for the generator to draw by.
    """

    images: Tensor  # uint8 (B, 3, R, R)
    conditions: Tensor  # (B, ...)
    attributes: Tensor  # int8 (B, A), of the pictures: 1, 0, or -1 where unknown
    labelled: int

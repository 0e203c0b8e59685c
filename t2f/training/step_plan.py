"""What a training step depends on besides its batch, the weights and random numbers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from t2f.networks.base import Alpha


@dataclass(frozen=True)
class StepPlan:
    """A training step, planned before it is taken.

    `alpha` and `ema_weight` change from step to step. All else selects the operations of the step, so that a recording
    of them serves all steps that have the other values in common. It then reads these two numbers from tensors.

    Attributes:
        resolution: In pixels.
        alpha: Fade-in weight of the newest layers, in [0, 1].
        due: Names of the objectives to evaluate.
        trains_generator: Whether the generator takes a step, and the average with it.
        ema_weight: Weight of the new weights in their average, in [0, 1]; a float or a 0-d tensor.
    """

    resolution: int
    alpha: Alpha
    due: frozenset[str]
    trains_generator: bool
    ema_weight: float | Tensor

"""What all metrics share that compare drawn faces with real ones by their features."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from t2f.metrics.features import Features
from t2f.utils.errors import UserError, require

M = TypeVar("M", bound=Metric)


class NotMeasurable(UserError):
    """These faces do not tell what a metric measures: they are too few, or all the same."""


class AsTheyAre(torch.nn.Module):
    """Gives torchmetrics, which reads features off images itself, features that have been read already."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.num_features = size

    def forward(self, features: Tensor) -> Tensor:
        return features


def on_features(kind: Callable[..., M], size: int, **settings: Any) -> M:
    """torchmetrics' metric `kind`, for features of `size` numbers that have been read, and gathered, by now."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the memory for features, which is taken already
        return kind(AsTheyAre(size), sync_on_compute=False, **settings)


def together(state: list[Tensor] | Tensor) -> Tensor:
    """All rows of a metric's state. torchmetrics makes one tensor of the list where processes share it."""
    return dim_zero_cat(state) if len(state) else torch.empty(0, 0)


def require_finite(values: Tensor) -> None:
    """Raise `UserError` for features that are not finite."""
    require(
        bool(values.isfinite().all()),
        "The features of some faces are not finite: the weights of the feature extractor are damaged, or do not fit.",
    )


class OfFeatures(Metric):
    """A metric of what a feature extractor read, so that its figures bear the extractor's name."""

    full_state_update = False


class FeatureMetric(OfFeatures):
    """A metric of two sets of faces: `update(reading, real)`. All features are kept until `compute`.

    Raises `UserError` for features that are not finite, and `NotMeasurable` for fewer than `least` faces of a kind.
    """

    least = 2
    drawn: list[Tensor]
    real: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("drawn", [], dist_reduce_fx="cat")
        self.add_state("real", [], dist_reduce_fx="cat")

    def update(self, reading: Features, real: bool) -> None:
        require_finite(reading.features)
        (self.real if real else self.drawn).append(reading.features)

    def both(self) -> tuple[Tensor, Tensor]:
        """All features of drawn faces (N, D) and of real ones (M, D), float64."""
        sets = []
        for what, parts in (("drawn", self.drawn), ("real", self.real)):
            features = together(parts).double()
            if len(features) < self.least:
                raise NotMeasurable(f"{self.least} {what} faces or more are needed, but there are {len(features)}.")
            sets.append(features)
        return sets[0], sets[1]

"""Base classes of the metrics that compare generated with real images in a feature space."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from t2f.metrics.features import Features
from t2f.utils.errors import UserError, require

M = TypeVar("M", bound=Metric)


class NotMeasurable(UserError):
    """A metric is undefined for these images: there are too few, or their features are all equal."""


def on_features(metric: Callable[..., M], num_features: int, **settings: Any) -> M:
    """Construct a torchmetrics metric that takes extracted features (N, num_features) in place of images."""
    identity = nn.Identity()
    identity.num_features = num_features  # type: ignore[assignment]  # read by torchmetrics
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns about memory for features that are already in memory
        return metric(identity, sync_on_compute=False, **settings)


def cat_state(state: list[Tensor] | Tensor) -> Tensor:
    """Concatenate a list state. For an empty one, where `dim_zero_cat` raises an error, return a tensor (0, 0)."""
    return dim_zero_cat(state) if len(state) else torch.empty(0, 0)


def require_finite(values: Tensor) -> None:
    require(
        bool(values.isfinite().all()),
        "The features of some images are not finite: the weights of the feature extractor are damaged or do not fit.",
    )


class ExtractorMetric(Metric):
    """Base class of metrics that depend on a feature extractor. Reports add the extractor's name to their results."""

    full_state_update = False


class FeatureMetric(ExtractorMetric):
    """Base class of metrics that compare the features of generated and real images.

    `update` stores the features; subclasses implement `compute` on the result of `fake_and_real`.
    """

    min_count = 2
    """Smallest number of images in each of the two sets."""
    fake: list[Tensor]
    real: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("fake", [], dist_reduce_fx="cat")
        self.add_state("real", [], dist_reduce_fx="cat")

    def update(self, batch: Features, real: bool) -> None:
        """Add a batch of images.

        Args:
            batch: Extracted features of B images.
            real: Whether the images are real, as in torchmetrics.

        Raises:
            UserError: If a feature is not finite.
        """
        require_finite(batch.features)
        (self.real if real else self.fake).append(batch.features)

    def fake_and_real(self) -> tuple[Tensor, Tensor]:
        """Return all features of generated images (N, D) and of real images (M, D) in float64.

        Raises:
            NotMeasurable: If N or M is less than `min_count`.
        """
        sets = []
        for kind, state in (("generated", self.fake), ("real", self.real)):
            features = cat_state(state).double()
            if len(features) < self.min_count:
                raise NotMeasurable(
                    f"At least {self.min_count} {kind} images are needed, but there are {len(features)}."
                )
            sets.append(features)
        return sets[0], sets[1]

"""Results of an evaluation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Better = Literal["higher", "lower", "as real"]


def identifier(title: str) -> str:
    """Name without blanks, hyphens and capitals: "EfficientNet-Lite0" -> "efficientnet_lite0"."""
    return re.sub(r"\W+", "_", title).strip("_").lower()


@dataclass(frozen=True)
class MetricValue:
    """Value of a metric and its reference values. One row of a report.

    Attributes:
        name: Identifier, such as "frechet_distance_efficientnet_lite0".
        title: Title in reports, such as "frechet distance"; at most 34 characters, for a terminal of 80 columns.
        generated: Value of the generated images.
        shuffled: Value of the generated images with mismatched text. It equals `generated` if a model ignores its text.
        real: Value of held-out real images in place of the generated ones.
        count: Number of images measured, if not all generated ones.
        better: Direction in which the metric improves.
    """

    name: str
    title: str
    generated: float
    shuffled: float | None = None
    real: float | None = None
    count: int | None = None
    better: Better = "higher"


@dataclass
class EvaluationResult:
    """Results of an evaluation or of a part of it.

    Attributes:
        metrics: Values of the metrics.
        attributes: Accuracies of the attributes, if measured.
        notes: Remarks for readers of the report, one sentence or more each.
        features: Name of the feature extractor that the metrics depend on, such as "EfficientNet-Lite0".
        incomplete: Whether a metric could not be measured on these images.
        nearest: Some generated images, each followed by its K nearest real images: uint8 (rows, 1 + K, 3, R, R).
    """

    metrics: list[MetricValue] = field(default_factory=list)
    attributes: list[MetricValue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    features: str = ""
    incomplete: bool = False
    nearest: Tensor | None = None

    def __iadd__(self, other: EvaluationResult) -> EvaluationResult:
        self.metrics += other.metrics
        self.attributes += other.attributes
        self.notes += other.notes
        self.features = self.features or other.features
        self.incomplete |= other.incomplete
        self.nearest = other.nearest if self.nearest is None else self.nearest
        return self

    def flat(self) -> dict[str, float]:
        """Return {name: value} with "NAME_shuffled" and "NAME_real", for loggers and sweeps."""
        values: dict[str, float | None] = {}
        for metric in self.metrics:
            values[metric.name] = metric.generated
            values[f"{metric.name}_shuffled"] = metric.shuffled
            values[f"{metric.name}_real"] = metric.real
        return {name: value for name, value in values.items() if value is not None}

"""One line of a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Better = Literal["higher", "lower", "as real"]


@dataclass(frozen=True)
class MetricValue:
    """What was measured of drawn faces, and beside it what the same measure gives of others.

    `shuffled`: the same faces, other words; a model that ignores its words has both alike. `real`: real faces that
    were held out, in place of drawn ones. None where there is no such thing. `better`: where a better model moves it.
    """

    name: str
    """For machines: "frechet_distance_efficientnet_lite0"."""
    title: str
    """For people: "frechet distance". Short enough for a table of 80 columns."""
    drawn: float
    shuffled: float | None = None
    real: float | None = None
    count: int | None = None
    """Of the faces measured, where they are not all that were drawn."""
    better: Better = "higher"


@dataclass
class EvaluationResult:
    """What an evaluation, or a part of it, found."""

    figures: list[MetricValue] = field(default_factory=list)
    attributes: list[MetricValue] = field(default_factory=list)
    """The same by attribute, where that was measured."""
    notes: list[str] = field(default_factory=list)
    """What a reader of the figures should know."""
    features: str = ""
    """The feature extractor that the figures depend on: "EfficientNet-Lite0"."""
    left_out: bool = False
    """Whether some of the metrics could not be measured of these faces."""
    nearest: Tensor | None = None
    """Some drawn faces, each with the real ones nearest to it: uint8 (rows, 1 + real, 3, R, R)."""

    def __iadd__(self, other: EvaluationResult) -> EvaluationResult:
        self.figures += other.figures
        self.attributes += other.attributes
        self.notes += other.notes
        self.features = self.features or other.features
        self.left_out |= other.left_out
        self.nearest = other.nearest if self.nearest is None else self.nearest
        return self

    def flat(self) -> dict[str, float]:
        """Name -> value, "name_shuffled" and "name_real" beside it, for loggers and sweeps."""
        values: dict[str, float | None] = {}
        for figure in self.figures:
            values[figure.name] = figure.drawn
            values[f"{figure.name}_shuffled"] = figure.shuffled
            values[f"{figure.name}_real"] = figure.real
        return {name: value for name, value in values.items() if value is not None}

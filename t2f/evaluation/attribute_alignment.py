"""Faithfulness by attributes: a classifier reads off the faces what their captions asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.attribute_accuracy import AttributeAccuracy
from t2f.metrics.attribute_classifier import AttributeClassifier, cached_classifier
from t2f.metrics.features import MissingPackage
from t2f.utils.errors import require


class AttributeAlignment(TextAlignment):
    """Balanced accuracy (chance 0.5) of the attributes that the words asked for, and their mean.

    The classifier is fitted to the training faces, once, or to the first `most_faces` of them. `real` is how well it
    reads the held-out ones, by their labels.
    """

    def __init__(self, most_faces: int | None = None) -> None:
        require(most_faces is None or most_faces >= 1, f"most_faces is {most_faces}: it must be at least 1.")
        self.most_faces = most_faces
        self.reader: AttributeClassifier | None = None

    def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
        held_out, expected = batch.source.held_out, batch.prompt_set.expected
        if not (expected >= 0).any():
            return EvaluationResult(notes=["No attribute is asked for in these words, so none is read off the faces."])
        if self.reader is None:
            try:
                faces = batch.source.train[: self.most_faces]
                self.reader = cached_classifier(faces, batch.cache, batch.device)
            except MissingPackage as error:
                return EvaluationResult(notes=[f"No attribute is read off the faces. {error}"])
            self.read_real = self.reader.read(torch.from_numpy(held_out.images.copy()))
        truth = torch.from_numpy(held_out.attributes)
        # Before the last stage the faces are smaller than those that the reader learnt on.
        drawn = F.interpolate(batch.drawn, size=held_out.images.shape[2:], mode="nearest")
        read = self.reader.read(drawn)

        matched, shuffled = accuracy(read, expected), accuracy(read, expected[batch.shuffled])
        real = accuracy(self.read_real, truth)
        # What was asked for one way only has no balanced accuracy; all means are over the others.
        shown = ~(matched.isnan() | shuffled.isnan())
        names = held_out.attribute_names
        one_way = [
            name for name, ask, here in zip(names, (expected >= 0).any(0), shown, strict=True) if ask and not here
        ]
        notes = [f"Asked for one way only, and so not measured: {', '.join(one_way)}."] if one_way else []
        if not shown.any():
            return EvaluationResult(notes=notes)
        known = (truth >= 0) & shown
        plain = (self.read_real == truth.bool())[known].float().mean().item()
        notes.append(
            f"Attribute accuracy is balanced: the mean of the accuracy where an attribute was asked for and where its "
            f"absence was. The classifier's plain accuracy on the held-out faces is {plain:.3f}."
        )
        rows = [
            MetricValue(
                name=name,
                title=name,
                drawn=matched[number].item(),
                shuffled=shuffled[number].item(),
                real=None if real[number].isnan() else real[number].item(),
                count=int((expected[:, number] >= 0).sum()),
            )
            for number, name in enumerate(names)
            if shown[number]
        ]
        mean = MetricValue(
            name="attribute_accuracy",
            title="attribute accuracy (chance 0.5)",
            drawn=matched[shown].mean().item(),
            shuffled=shuffled[shown].mean().item(),
            real=None if real[shown].isnan().all() else real[shown].nanmean().item(),
        )
        return EvaluationResult([mean], rows, notes)


def accuracy(read: Tensor, expected: Tensor) -> Tensor:
    """By attribute: bool (N, A), int8 (N, A) -> (A,)."""
    metric = AttributeAccuracy(read.shape[1], sync_on_compute=False)  # only one process marks
    metric.update(read, expected)
    return torch.atleast_1d(metric.compute())

"""Text alignment by attributes: an attribute classifier checks what the descriptions specify."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.attribute_accuracy import AttributeAccuracy
from t2f.metrics.attribute_classifier import AttributeClassifier, cached_classifier
from t2f.networks.efficientnet import Network, display_name
from t2f.utils.extras import MissingPackage


class AttributeAlignment(TextAlignment):
    """Balanced accuracy of the attributes that the descriptions specify, and its mean. Chance is 0.5.

    The classifier is fitted to the training images once. `real` is its accuracy on the held-out images and their
    labels.

    Args:
        most_faces: Number of training images that the classifier is fitted to; all by default.
        network: Pretrained network whose features the classifier reads.

    Raises:
        ValueError: If `most_faces` is less than 1, or there is no such network.
    """

    def __init__(self, most_faces: int | None = None, network: Network = "efficientnet_lite0") -> None:
        if most_faces is not None and most_faces < 1:
            raise ValueError(f"most_faces must be at least 1, but is {most_faces}.")
        self.most_faces = most_faces
        self.network = network
        self.features = display_name(network)
        self.classifier: AttributeClassifier | None = None

    def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
        held_out, expected = batch.source.held_out, batch.prompt_set.expected
        if not (expected >= 0).any():
            return EvaluationResult(notes=["The descriptions specify no attribute, so no attribute is measured."])
        if self.classifier is None:
            try:
                faces = batch.source.train[: self.most_faces]
                self.classifier = cached_classifier(faces, batch.cache, batch.device, self.network)
            except MissingPackage as error:
                return EvaluationResult(notes=[f"Attributes are not measured. {error}"])
            self.predicted_real = self.classifier.predict(torch.from_numpy(held_out.images.copy()))
        labels = torch.from_numpy(held_out.attributes)
        # Generated images of an early growth stage are smaller than the images that the classifier was fitted to.
        generated = F.interpolate(batch.generated, size=held_out.images.shape[2:], mode="nearest")
        predicted = self.classifier.predict(generated)

        matched, shuffled = accuracy(predicted, expected), accuracy(predicted, expected[batch.shuffled])
        real = accuracy(self.predicted_real, labels)
        # Balanced accuracy needs both classes. All means are over the same attributes.
        measured = ~(matched.isnan() | shuffled.isnan())
        names = held_out.attribute_names
        one_class = [
            name
            for name, specified, shown in zip(names, (expected >= 0).any(0), measured, strict=True)
            if specified and not shown
        ]
        notes = []
        if one_class:
            notes.append(f"Not measured, because all descriptions specify the same value: {', '.join(one_class)}.")
        if not measured.any():
            return EvaluationResult(notes=notes)
        known = (labels >= 0) & measured
        unbalanced = (self.predicted_real == labels.bool())[known].float().mean().item()
        notes.append(
            "Attribute accuracy is balanced: the mean of the recalls of both values of an attribute. The classifier "
            f"reads {self.features}'s features; its unbalanced accuracy on the held-out images is {unbalanced:.3f}."
        )
        rows = [
            MetricValue(
                name=name,
                title=name,
                generated=matched[index].item(),
                shuffled=shuffled[index].item(),
                real=None if real[index].isnan() else real[index].item(),
                count=int((expected[:, index] >= 0).sum()),
            )
            for index, name in enumerate(names)
            if measured[index]
        ]
        mean = MetricValue(
            name="attribute_accuracy",
            title="attribute accuracy (chance 0.5)",
            generated=matched[measured].mean().item(),
            shuffled=shuffled[measured].mean().item(),
            real=None if real[measured].isnan().all() else real[measured].nanmean().item(),
        )
        return EvaluationResult([mean], rows, notes)


def accuracy(predicted: Tensor, expected: Tensor) -> Tensor:
    """Balanced accuracy (A,) of each attribute from predictions, bool (N, A), and labels, int8 (N, A)."""
    metric = AttributeAccuracy(predicted.shape[1], sync_on_compute=False)  # only the first process measures
    metric.update(predicted, expected)
    return torch.atleast_1d(metric.compute())

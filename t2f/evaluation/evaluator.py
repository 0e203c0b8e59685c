"""Evaluation of a model: quality of the generated images and their alignment with the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torchmetrics import Metric

from t2f.conditioning.base import Conditioner, PromptSet
from t2f.data.faces import Faces, Images
from t2f.evaluation.generate import ImageGenerator, generate_images
from t2f.evaluation.metric_value import Better, EvaluationResult, MetricValue, identifier
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.base import ExtractorMetric, NotMeasurable
from t2f.metrics.features import FeatureExtractor, Features, cached_features
from t2f.metrics.neighbors import nearest_neighbors
from t2f.training.batches.datamodule import FaceDataset
from t2f.utils.distributed import rank_and_world_size
from t2f.utils.errors import UserError, require
from t2f.utils.extras import MissingPackage
from t2f.utils.progress import track

NEAREST_ROWS, NEAREST_COLUMNS = 8, 4  # generated images, and nearest real images of each, in the report
BETTER: dict[bool | None, Better] = {True: "higher", False: "lower", None: "as real"}


class Evaluator:
    """Measure a model on images generated from descriptions of held-out images.

    The features of real images are computed once and cached. `seed` and `count` determine the descriptions, the noise
    and the choice of real images, so runs are measured on the same ones. With several processes all must call the
    evaluator: all generate, the first measures. Use an evaluator for one data set only.

    Args:
        count: Number of generated images, at least 1.
        real_count: Largest number of real images to compare with, at least 2.
        reference: Split of the real images.
        seed: Seed of descriptions, noise and choice of real images.
        cache: Folder of cached features and classifiers.
        features: Constructor of the feature extractor; None disables `metrics`.
        metrics: Metrics that compare generated with real images.
        text_alignment: Metrics of the alignment with the descriptions.
        truncation: Factor of the noise, at least 0. Values below 1 give more typical, less diverse images.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        count: int,
        real_count: int,
        reference: Literal["train", "held_out"],
        seed: int,
        cache: str,
        features: Callable[[], FeatureExtractor] | None,
        metrics: Mapping[str, Metric],
        text_alignment: Mapping[str, TextAlignment] | None,
        truncation: float = 1.0,
    ) -> None:
        if count < 1:
            raise ValueError(f"count must be at least 1, but is {count}.")
        if real_count < 2:
            raise ValueError(f"real_count must be at least 2, but is {real_count}.")
        if reference not in ("train", "held_out"):
            raise ValueError(f"reference must be train or held_out, but is {reference}.")
        if not truncation >= 0:
            raise ValueError(f"truncation must be at least 0, but is {truncation}.")
        self.count = count
        self.real_count = real_count
        self.reference = reference
        self.seed = seed
        self.truncation = truncation
        self.cache = Path(cache)
        self.metrics = metrics
        self.text_alignment = text_alignment or {}
        self.extractor: FeatureExtractor | None = None
        self.missing_package: str | None = None
        self.held_out_values: list[MetricValue] | None = None
        if features is not None and metrics:
            try:
                self.extractor = features()
            except MissingPackage as error:
                self.missing_package = str(error)
            except ValueError as error:  # about an argument of `features`
                raise ValueError(f"features.{error}") from error

    def __call__(self, generator: ImageGenerator, source: FaceDataset, conditioner: Conditioner) -> EvaluationResult:
        """Generate images and measure them. The result is empty except in the first process.

        Raises:
            UserError: If there are no descriptions, or generated pixels or features are not finite.
        """
        prompt_set = self.prompt_set(source, conditioner)
        if self.extractor is not None:
            self.extractor.to(generator.device)
        conditions = conditioner(prompt_set.descriptions)
        generated = generate_images(generator, conditions, self.seed, self.extractor, self.truncation)
        result = EvaluationResult()
        if rank_and_world_size()[0] > 0:
            return result
        if self.extractor is not None:
            result += self.image_quality(generated, source)
        elif self.missing_package is not None:
            result.notes.append(f"Image quality is not measured. {self.missing_package}")
        batch = EvaluationBatch(
            prompt_set, generated.images, source, conditioner, self.seed, self.cache, generator.device
        )
        for metric in self.text_alignment.values():
            result += metric(batch)
        return result

    def prompt_set(self, source: FaceDataset, conditioner: Conditioner) -> PromptSet:
        """Return the descriptions of the evaluation.

        Call it before the training to detect held-out images without descriptions early.

        Raises:
            UserError: If the held-out images have no descriptions.
        """
        try:
            return conditioner.prompt_set(source.held_out, self.count, self.seed)
        except UserError as error:
            raise UserError(
                f"{error} Hold out more faces (data.held_out), describe some, or disable the evaluation with "
                "evaluation=none '~callbacks.validation'."
            ) from error

    def too_few(self, source: FaceDataset) -> str | None:
        """Return a warning that names the metrics for which there are too few images, or None."""
        real = min(self.real_count, len(self.reference_faces(source)))
        names = [
            name for name, metric in self.metrics.items() if min(self.count, real) < getattr(metric, "min_count", 1)
        ]
        if self.extractor is None or not names:
            return None
        remedy = "increase the evaluation's count" if self.count < real else f"add faces to {self.reference}"
        return (
            f"there are too few images to measure {', '.join(names)} ({self.count:,} generated, {real:,} real of "
            f"{self.reference}): {remedy}, or remove these metrics"
        )

    def image_quality(self, generated: Features, source: FaceDataset) -> EvaluationResult:
        """Compare generated with real images; with reference "train", also held-out real images in their place."""
        assert self.extractor is not None
        real = cached_features(self.extractor, self.real_images(source), self.cache)
        values, reasons = self.compute_metrics(generated, real)
        available = len(self.reference_faces(source))
        notes = [
            f"{len(generated):,} generated images are compared with {len(real):,} of {available:,} real ones "
            f"({self.reference}).",
            *(f"Not measured: {reason}" for reason in reasons),
        ]
        if self.reference != "train" or len(real) < available:
            notes.append("Memorization does not detect copies of other training images.")
        if self.reference == "train":
            if self.held_out_values is None:  # equal for all models
                self.held_out_values = self.compute_held_out(self.extractor, source, real)
            of_real = {value.name: value.generated for value in self.held_out_values}
            values = [replace(value, real=of_real.get(value.name)) for value in values]
            count = min(self.count, len(source.held_out))
            if self.held_out_values:
                notes.append(f"The column of real images measures {count:,} held-out ones in place of generated ones.")
            else:
                notes.append(f"The {count} held-out images are too few for a column of real images.")
        smallest = min(len(generated), len(real), *([len(source.held_out)] if self.held_out_values else []))
        if smallest <= self.extractor.num_features:
            notes.append(
                f"{smallest:,} images are few for {self.extractor.num_features:,} features: the Frechet distance is "
                "biased upwards, so compare it only at equal numbers of images."
            )
        queries = generated.features[:NEAREST_ROWS].double()
        indices = nearest_neighbors(queries, real.features.double(), min(NEAREST_COLUMNS, len(real)))[1]
        resized = F.interpolate(generated.images[:NEAREST_ROWS], size=real.images.shape[2:], mode="nearest")
        return EvaluationResult(
            values,
            notes=notes,
            features=self.extractor.name,
            incomplete=bool(reasons),
            nearest=torch.cat([resized[:, None], real.images[indices]], dim=1),
        )

    def compute_held_out(self, extractor: FeatureExtractor, source: FaceDataset, real: Features) -> list[MetricValue]:
        """Measure held-out images in place of generated ones; return no values if they are too few."""
        held_out = cached_features(extractor, source.held_out.images[: self.count], self.cache)
        values, reasons = self.compute_metrics(held_out, real)
        return [] if reasons else values

    def compute_metrics(self, generated: Features, real: Features) -> tuple[list[MetricValue], list[str]]:
        """Compute all metrics, on the extractor's device if it is a GPU, else on the CPU (not all have float64).

        Returns:
            The values, and the reasons why some metrics could not be measured.

        Raises:
            UserError: If two metrics have the same name.
        """
        assert self.extractor is not None
        device = self.extractor.device if self.extractor.device.type == "cuda" else torch.device("cpu")
        generated, real = generated.to(device), real.to(device)
        values, reasons = [], []
        for key, metric in track(self.metrics.items(), "Comparing with real images", len(self.metrics)):
            metric.to(device).reset()
            metric.distributed_available_fn = _not_distributed  # the other processes do not measure
            metric.update(generated, real=False)
            metric.update(real, real=True)
            try:
                computed = metric.compute()
            except NotMeasurable as error:
                reasons.append(f"{key.replace('_', ' ')}: {error}")
                continue
            finally:
                metric.reset()
            for part, value in computed.items() if isinstance(computed, dict) else [(key, computed)]:
                of_extractor = isinstance(metric, ExtractorMetric)
                title = self.extractor.title(part) if of_extractor else part.replace("_", " ")
                name = identifier(f"{part} {self.extractor.name}" if of_extractor else part)
                values.append(MetricValue(name, title, float(value), better=BETTER[metric.higher_is_better]))
        names = [value.name for value in values]
        duplicates = {name for name in names if names.count(name) > 1}
        require(not duplicates, f"Two of metrics have the name {', '.join(duplicates)}: remove one.")
        return values, reasons

    def reference_faces(self, source: FaceDataset) -> Faces:
        """All real images of the reference split."""
        return source.train if self.reference == "train" else source.held_out

    def real_images(self, source: FaceDataset) -> Images:
        """The real images to compare with, uint8 (M, 3, R, R): at most `real_count`, chosen by the seed."""
        images = self.reference_faces(source).images
        order = np.random.default_rng(self.seed).permutation(len(images))
        return images[np.sort(order[: self.real_count])]


def _not_distributed() -> bool:
    return False

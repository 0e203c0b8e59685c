"""What a model is worth: faces drawn for new words, compared with real ones, and marked by what the words asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from t2f.conditioning.base import Conditioner, PromptSet
from t2f.data.faces import Faces, Images
from t2f.evaluation.generate import ImageGenerator, draw
from t2f.evaluation.metric_value import Better, EvaluationResult, MetricValue
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.base import NotMeasurable, OfFeatures
from t2f.metrics.features import FeatureExtractor, Features, MissingPackage, read_once
from t2f.metrics.neighbors import nearest
from t2f.training.batches.datamodule import FaceDataset
from t2f.utils.distributed import rank_and_world_size
from t2f.utils.errors import UserError, require
from t2f.utils.progress import track

NEAREST_ROWS, NEAREST_COLUMNS = 8, 4  # of the picture of drawn faces and the real ones nearest to them
BETTER: dict[bool | None, Better] = {True: "higher", False: "lower", None: "as real"}


class Evaluator:
    """Draw `count` faces, each for words about a held-out face, and measure them.

    `features` makes the extractor; `metrics` compare what it reads off the drawn faces with what it reads off at most
    `real_count` real ones of `reference`; `text_alignment` marks the faces by their words. Real faces are read once,
    and kept in `cache`. Seed and count decide the words, the noise and which real faces: the same ones in every run.
    `truncation` scales the noise: below 1 faces are more typical, and vary less.

    With several processes every one must call it: all draw, the first measures. An evaluation is of one data set.
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
        require(count >= 1, f"evaluation.count is {count}: it must be at least 1.")
        require(real_count >= 2, f"evaluation.real_count is {real_count}: it must be at least 2.")
        require(
            reference in ("train", "held_out"),
            f"evaluation.reference is {reference}: choose train or held_out, the real faces to compare with.",
        )
        require(truncation >= 0, f"evaluation.truncation is {truncation}: it must be 0 or above.")
        self.count = count
        self.real_count = real_count
        self.reference = reference
        self.seed = seed
        self.truncation = truncation
        self.cache = Path(cache)
        self.metrics = metrics
        self.text_alignment = text_alignment or {}
        self.extractor: FeatureExtractor | None = None
        self.missing: str | None = None
        self.of_held_out: list[MetricValue] | None = None
        if features is not None and metrics:
            try:
                self.extractor = features()
            except MissingPackage as error:
                self.missing = str(error)

    def __call__(self, generator: ImageGenerator, source: FaceDataset, conditioner: Conditioner) -> EvaluationResult:
        """What was found; nothing in the processes that do not measure."""
        prompt_set = self.prompt_set(source, conditioner)
        if self.extractor is not None:
            self.extractor.to(generator.device)
        drawn = draw(generator, conditioner(prompt_set.descriptions), self.seed, self.extractor, self.truncation)
        if rank_and_world_size()[0] > 0:
            return EvaluationResult()
        result = EvaluationResult()
        if self.extractor is not None:
            result += self.compare(drawn, source)
        elif self.missing is not None:
            result.notes.append(f"Not compared with real faces. {self.missing}")
        batch = EvaluationBatch(prompt_set, drawn.images, source, conditioner, self.seed, self.cache, generator.device)
        for marker in self.text_alignment.values():
            result += marker(batch)
        return result

    def prompt_set(self, source: FaceDataset, conditioner: Conditioner) -> PromptSet:
        """The words to draw. Raises `UserError` where the held-out faces give none: ask before the training."""
        try:
            return conditioner.prompt_set(source.held_out, self.count, self.seed)
        except UserError as error:
            raise UserError(
                f"{error} Hold out more faces (data.held_out), describe some, or measure nothing: evaluation=none "
                "'~callbacks.validation'."
            ) from error

    def too_few(self, source: FaceDataset) -> str | None:
        """What there are too few faces to measure, and the remedy, in words; None where there are enough."""
        real = min(self.real_count, len(self.reference_faces(source)))
        fewest = min(self.count, real)
        names = [name for name, metric in self.metrics.items() if fewest < getattr(metric, "least", 1)]
        if self.extractor is None or not names:
            return None
        which = f"{self.count:,} drawn ones and {real:,} real ones of {self.reference}"
        remedy = "raise the evaluation's count" if self.count < real else f"add faces to {self.reference}"
        return f"there are too few faces to measure {', '.join(names)}, {which}: {remedy}, or do without"

    def compare(self, drawn: Features, source: FaceDataset) -> EvaluationResult:
        """The metrics of the drawn faces, and of held-out real ones in their place."""
        assert self.extractor is not None
        real = read_once(self.extractor, self.real_images(source), self.cache)
        figures, left_out = self.measure(drawn, real)
        among = len(self.reference_faces(source))
        notes = [
            f"{len(drawn):,} drawn faces are compared with {len(real):,} real ones of {among:,} ({self.reference}).",
            *(f"Not measured: {reason}" for reason in left_out),
        ]
        if self.reference != "train" or len(real) < among:
            notes.append("Copies of training faces that are not among these do not count as memorised.")
        if self.reference == "train":
            if self.of_held_out is None:  # they are the same for every model
                self.of_held_out = self.measure_held_out(self.extractor, source, real)
            of_real = {figure.name: figure.drawn for figure in self.of_held_out}
            figures = [replace(figure, real=of_real.get(figure.name)) for figure in figures]
            count = min(self.count, len(source.held_out))
            if self.of_held_out:
                notes.append(f"In the column of real faces, {count:,} held-out ones are in place of the drawn.")
            else:
                notes.append(f"The {count} held-out faces are too few to be measured like drawn ones.")
        smallest = min(len(drawn), len(real), *([len(source.held_out)] if self.of_held_out else []))
        if smallest <= self.extractor.size:
            notes.append(
                f"{smallest:,} are few for {self.extractor.size:,} features: a Frechet distance of so few is biased "
                "upwards, so compare it at the same numbers of faces only."
            )
        some = drawn.features[:NEAREST_ROWS].double()
        numbers = nearest(some, real.features.double(), min(NEAREST_COLUMNS, len(real)))[1]
        shown = [self.nearest_pictures(drawn.images[row], real.images[numbers[row]]) for row in range(len(some))]
        return EvaluationResult(
            figures,
            notes=notes,
            features=self.extractor.name,
            left_out=bool(left_out),
            nearest=torch.stack(shown),
        )

    @staticmethod
    def nearest_pictures(drawn: Tensor, real: Tensor) -> Tensor:
        """uint8 images (3, r, r) and (K, 3, R, R) -> (1 + K, 3, R, R)."""
        return torch.cat([F.interpolate(drawn[None], size=real.shape[2:], mode="nearest"), real])

    def measure_held_out(self, extractor: FeatureExtractor, source: FaceDataset, real: Features) -> list[MetricValue]:
        """The metrics of as many held-out faces as are drawn; none where these are too few."""
        held_out = read_once(extractor, source.held_out.images[: self.count], self.cache)
        figures, left_out = self.measure(held_out, real)
        return [] if left_out else figures

    def measure(self, drawn: Features, real: Features) -> tuple[list[MetricValue], list[str]]:
        """All metrics, and why some are left out.

        On a GPU where the extractor is on one, else on the CPU, for they count in float64.
        """
        assert self.extractor is not None
        device = self.extractor.device if self.extractor.device.type == "cuda" else torch.device("cpu")
        drawn, real = drawn.to(device), real.to(device)
        figures, left_out = [], []
        for name, metric in track(self.metrics.items(), "Comparing with real faces", len(self.metrics)):
            metric.to(device).reset()
            metric.distributed_available_fn = _no_others  # the other processes do not measure
            metric.update(drawn, real=False)
            metric.update(real, real=True)
            try:
                value = metric.compute()
            except NotMeasurable as error:
                left_out.append(f"{name.replace('_', ' ')}: {error}")
                continue
            finally:
                metric.reset()
            for part, number in value.items() if isinstance(value, dict) else [(name, value)]:
                plain = f"{part} {self.extractor.name}" if isinstance(metric, OfFeatures) else part
                title = self.extractor.title(part) if isinstance(metric, OfFeatures) else part.replace("_", " ")
                slug = re.sub(r"\W+", "_", plain).strip("_").lower()
                figures.append(MetricValue(slug, title, float(number), better=BETTER[metric.higher_is_better]))
        names = [figure.name for figure in figures]
        twice = {name for name in names if names.count(name) > 1}
        require(not twice, f"Two of metrics give the figure {', '.join(twice)}: leave one out.")
        return figures, left_out

    def reference_faces(self, source: FaceDataset) -> Faces:
        """The real faces to compare with, before some are drawn."""
        return source.train if self.reference == "train" else source.held_out

    def real_images(self, source: FaceDataset) -> Images:
        """The real faces to compare with, uint8 (M, 3, R, R): all of the reference, or some drawn by the seed."""
        images = self.reference_faces(source).images
        order = np.random.default_rng(self.seed).permutation(len(images))
        return images[np.sort(order[: self.real_count])]


def _no_others() -> bool:
    return False

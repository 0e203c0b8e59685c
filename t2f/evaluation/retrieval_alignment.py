"""Text alignment by retrieval: R-precision among 100 descriptions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.dual_encoder import TextImageMatcher, cached_matcher
from t2f.metrics.retrieval import RPrecision

MISMATCHED = 99  # as in Xu et al. 2018


class RetrievalAlignment(TextAlignment):
    """R-precision among 100 descriptions, by a dual encoder trained on the training images and captions once.

    `real` is the value of the real images that the descriptions are about. The seed chooses the mismatched
    descriptions among those with another text.
    """

    def __init__(self) -> None:
        self.matcher: TextImageMatcher | None = None

    def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
        descriptions = batch.prompt_set.descriptions
        text_ids = np.unique(np.array(descriptions), return_inverse=True)[1]
        count = min(MISMATCHED, len(set(descriptions)) - 1)
        if count < 1:
            return EvaluationResult(notes=["R-precision is not measured, because all descriptions are equal."])
        if self.matcher is None:
            self.matcher = cached_matcher(batch.source.train, batch.conditioner, batch.cache, batch.device)
        texts = self.matcher.encode_captions(descriptions)
        generated = self.matcher.encode_images(batch.generated)
        real = self.matcher.encode_images(batch.described)
        mismatched = mismatched_descriptions(text_ids, count, batch.seed)
        value = MetricValue(
            name="r_precision",
            title=f"R-precision of {count + 1} (chance {1 / (count + 1):.2g})",
            generated=r_precision(generated, texts, mismatched),
            shuffled=r_precision(generated[batch.shuffled], texts, mismatched),
            real=r_precision(real, texts, mismatched),
        )
        return EvaluationResult([value])


def mismatched_descriptions(text_ids: np.ndarray[tuple[int], np.dtype[np.int64]], count: int, seed: int) -> Tensor:
    """Choose descriptions with other texts for each of N descriptions.

    Args:
        text_ids: Number of each description's text, int64 (N,). Equal descriptions have the same number.
        count: Mismatched descriptions for each, all with different texts.
        seed: Seed of the choice.

    Returns:
        Indices of descriptions, int64 (N, count).
    """
    rng = np.random.default_rng(seed)
    first = np.unique(text_ids, return_index=True)[1]
    rows = []
    for text in text_ids:
        others = rng.choice(len(first) - 1, size=count, replace=False)
        rows.append(first[others + (others >= text)])
    return torch.from_numpy(np.stack(rows))


def r_precision(images: Tensor, texts: Tensor, mismatched: Tensor) -> float:
    """R-precision of N pairs of unit vectors, (N, D) each, with indices of mismatched texts (N, C)."""
    metric = RPrecision(sync_on_compute=False)  # only the first process measures
    for rows in torch.arange(len(images)).split(256):
        metric.update(images[rows], texts[rows], texts[mismatched[rows]])
    return float(metric.compute())

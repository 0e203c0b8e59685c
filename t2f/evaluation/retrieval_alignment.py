"""Faithfulness by retrieval: which of a hundred captions is a face's own?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.dual_encoder import TextImageMatcher, cached_matcher
from t2f.metrics.retrieval import RPrecision

OTHERS = 99  # as in the papers


class RetrievalAlignment(TextAlignment):
    """R-precision among 100 captions, by a dual encoder that learnt from the training faces and their words, once.

    `real`: the real faces that the captions were written of. The other captions are drawn by the seed among those with
    different words.
    """

    def __init__(self) -> None:
        self.matcher: TextImageMatcher | None = None

    def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
        descriptions = batch.prompt_set.descriptions
        distinct = np.unique(np.array(descriptions), return_inverse=True)[1]
        candidates = min(OTHERS, len(set(descriptions)) - 1)
        if candidates < 1:
            return EvaluationResult(notes=["All words of the evaluation are the same, so no face can find its own."])
        if self.matcher is None:
            self.matcher = cached_matcher(batch.source.train, batch.conditioner, batch.cache, batch.device)
        words = self.matcher.of_captions(descriptions)
        drawn = self.matcher.of_images(batch.drawn)
        real = self.matcher.of_images(batch.described)
        others = other_words(distinct, candidates, batch.seed)
        figure = MetricValue(
            name="r_precision",
            title=f"R-precision of {candidates + 1} (chance {1 / (candidates + 1):.2g})",
            drawn=r_precision(drawn, words, others),
            shuffled=r_precision(drawn[batch.shuffled], words, others),
            real=r_precision(real, words, others),
        )
        return EvaluationResult([figure])


def other_words(distinct: np.ndarray[tuple[int], np.dtype[np.int64]], count: int, seed: int) -> Tensor:
    """For each of N descriptions, numbered by their text (N,), the places of `count` with other texts: (N, count)."""
    rng = np.random.default_rng(seed)
    first = np.unique(distinct, return_index=True)[1]
    rows = []
    for text in distinct:
        others = rng.choice(len(first) - 1, size=count, replace=False)
        rows.append(first[others + (others >= text)])
    return torch.from_numpy(np.stack(rows))


def r_precision(faces: Tensor, words: Tensor, others: Tensor) -> float:
    """Of N faces and their words, (N, D) each, with the places of other words (N, C)."""
    metric = RPrecision(sync_on_compute=False)  # only one process marks
    for rows in torch.arange(len(faces)).split(256):
        metric.update(faces[rows], words[rows], words[others[rows]])
    return float(metric.compute())

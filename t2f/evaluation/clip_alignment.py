"""Faithfulness by CLIP: are picture and words near to each other for a network that never saw the data set?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from t2f.conditioning.frozen_encoder import load_encoder
from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.features import BLOCK
from t2f.utils.errors import require
from t2f.utils.images import to_pil

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SETTING = "evaluation.text_alignment.clip_score.name"


class ClipAlignment(TextAlignment):
    """100 times the mean of max(cosine, 0) of face and words (Hessel et al. 2021, arXiv:2104.08718, equation 1).

    The paper's own factor is 2.5; torchmetrics and most papers since give it in hundredths. Words are cut at the 77
    tokens that CLIP reads, pictures are resized by its own processor. `name`: a CLIP on the Hugging Face hub, or its
    folder. It is loaded when first needed, and once; code that it brings along is never run.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.clip: SentenceTransformer | None = None

    def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
        if self.clip is None:
            clip = load_encoder(self.name, SETTING)
            require("image" in clip.modalities, f"{self.name} reads no pictures: give a CLIP as {SETTING}.")
            self.clip = clip.to(batch.device)
        words = self.of_captions(batch.prompt_set.descriptions)
        drawn = self.of_images(batch.drawn)
        figure = MetricValue(
            name="clip_score",
            title=f"CLIPScore ({self.name})",
            drawn=score(drawn, words),
            shuffled=score(drawn, words[batch.shuffled]),
            real=score(self.of_images(batch.described), words),
        )
        return EvaluationResult([figure])

    def of_captions(self, captions: list[str]) -> Tensor:
        """N captions -> (N, D)."""
        return self._encode(captions)

    def of_images(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, r, r) -> (N, D)."""
        parts = [self._encode([to_pil(image) for image in block]) for block in images.split(BLOCK)]
        return torch.cat(parts)

    def _encode(self, inputs: list[str] | list[Image.Image]) -> Tensor:
        assert self.clip is not None
        return torch.from_numpy(self.clip.encode(inputs, batch_size=BLOCK, show_progress_bar=False))


def score(faces: Tensor, words: Tensor) -> float:
    """Of N faces and their words, (N, D) each."""
    return 100 * F.cosine_similarity(faces.double(), words.double()).clamp(min=0).mean().item()

"""Text alignment by CLIPScore: similarity of image and text to a network trained on other data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from t2f.conditioning.frozen_encoder import load_encoder
from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.features import BATCH_SIZE
from t2f.utils.errors import require
from t2f.utils.images import to_pil

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

SETTING = "evaluation.text_alignment.clip_score.name"


class ClipAlignment(TextAlignment):
    """CLIPScore: 100 * E[max(cos(image, text), 0)] (Hessel et al. 2021, arXiv:2104.08718, equation 1).

    The paper's factor is 2.5; torchmetrics and most papers use 100. CLIP truncates texts to 77 tokens, and its own
    processor resizes the images. The model is loaded at the first call; code that comes with it is never executed.

    Args:
        name: CLIP model on the Hugging Face Hub, or its folder.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.clip: SentenceTransformer | None = None

    def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
        if self.clip is None:
            clip = load_encoder(self.name, SETTING)
            require("image" in clip.modalities, f"{self.name} does not encode images: set {SETTING} to a CLIP model.")
            self.clip = clip.to(batch.device)
        texts = self._encode(batch.prompt_set.descriptions)
        generated = self._encode_images(batch.generated)
        value = MetricValue(
            name="clip_score",
            title=f"CLIPScore ({self.name})",
            generated=clip_score(generated, texts),
            shuffled=clip_score(generated, texts[batch.shuffled]),
            real=clip_score(self._encode_images(batch.described), texts),
        )
        return EvaluationResult([value])

    def _encode_images(self, images: Tensor) -> Tensor:
        """Embed uint8 images (N, 3, r, r) as (N, D)."""
        return torch.cat([self._encode([to_pil(image) for image in part]) for part in images.split(BATCH_SIZE)])

    def _encode(self, inputs: list[str] | list[Image.Image]) -> Tensor:
        assert self.clip is not None
        return torch.from_numpy(self.clip.encode(inputs, batch_size=BATCH_SIZE, show_progress_bar=False))


def clip_score(images: Tensor, texts: Tensor) -> float:
    """CLIPScore of N pairs of embeddings, (N, D) each, in [0, 100]."""
    return 100 * F.cosine_similarity(images.double(), texts.double()).clamp(min=0).mean().item()

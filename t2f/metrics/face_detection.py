"""Face detection rate of generated images."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from t2f.metrics.base import NotMeasurable
from t2f.metrics.features import BATCH_SIZE, Features
from t2f.utils.extras import needs_extra

RESOLUTION = 128
"""Pixels that images are resized to."""
BORDER = 32
"""Pixels by which the edges are replicated, because in tight crops a face is larger than the image."""
MIN_FACE = 48
"""Smallest face, in pixels of the resized image."""


class FaceDetectionRate(Metric):
    """Fraction of generated images in which a face detector finds a face, in [0, 1].

    The detector is MTCNN (Zhang et al. 2016, arXiv:1604.02878), trained on the photographs of WIDER FACE and CelebA; it
    takes no part in the training of a GAN. It finds a face in 98.7 % of 300 photographs of CelebA at 64x64 and in 98 %
    at 32x32 (200 of LFW, which are new to it: 100 and 99.5 %), in 1.5 % of photographs whose 4x4 patches are permuted,
    and in none of landscapes and noise. It ignores details: it finds 95 % of faces that are blurred to 16 pixels. Of
    avatars, which it was not trained for, it finds 60 %.

    Args:
        threshold: Smallest probability of a face, in (0, 1).

    Raises:
        ValueError: If `threshold` is not in (0, 1).
        MissingPackage: If the detector's package is not installed.
    """

    higher_is_better = True
    full_state_update = False
    detected: Tensor
    total: Tensor

    def __init__(self, threshold: float = 0.95, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must be in (0, 1), but is {threshold}.")
        with needs_extra("The face detection rate", "faces"):
            from facenet_pytorch import MTCNN
        with torch.random.fork_rng(devices=[]):
            # The first two thresholds, of the proposals, are the package's.
            self.detector = MTCNN(min_face_size=MIN_FACE, thresholds=[0.6, 0.7, threshold]).eval()
        self.add_state("detected", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, batch: Features, real: bool) -> None:
        """Detect the faces of a batch of generated images. Real images are ignored."""
        if not real:
            self.detected += sum(int(self.detect(images).sum()) for images in batch.images.split(BATCH_SIZE))
            self.total += len(batch.images)

    def compute(self) -> Tensor:
        """Return the rate.

        Raises:
            NotMeasurable: If there are no generated images.
        """
        if self.total == 0:
            raise NotMeasurable("At least 1 generated image is needed, but there are 0.")
        return self.detected.double() / self.total

    def detect(self, images: Tensor) -> Tensor:
        """Detect faces in uint8 images (B, 3, R, R): bool (B,), whether there is one."""
        size = (RESOLUTION, RESOLUTION)
        resized = F.interpolate(images.to(self.device).float(), size=size, mode="bilinear", antialias=True)
        padded = F.pad(resized, 4 * (BORDER,), mode="replicate")
        self.detector.device = self.device  # `to` has moved the weights only
        boxes, _ = self.detector.detect(padded.permute(0, 2, 3, 1))
        return torch.tensor([box is not None for box in boxes], dtype=torch.bool)

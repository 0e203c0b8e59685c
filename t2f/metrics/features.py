"""Feature extractors: networks trained on ImageNet, in whose features image distributions are compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from t2f.data.faces import Images, checksum, fingerprint
from t2f.utils.cached_tensors import cached_tensors, weights_checksum
from t2f.utils.errors import require
from t2f.utils.progress import track

BATCH_SIZE = 64
"""Images are generated and read in batches of this size. It is fixed because rounding depends on the batch size."""


@dataclass(frozen=True)
class Features:
    """Outputs of a feature extractor for N images.

    Attributes:
        images: The images, uint8 (N, 3, R, R).
        features: float32 (N, D).
        logits: Class logits, float32 (N, C).
    """

    images: Tensor
    features: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> Features:
        """Move features and logits to a device. The images stay on their own."""
        return Features(self.images, self.features.to(device), self.logits.to(device))


class FeatureExtractor(nn.Module, ABC):
    """Base class of frozen pretrained networks that map images to features and class logits.

    Attributes:
        name: Name in reports, such as "Inception".
        num_features: Length D of a feature vector.
        resize: Description of how images are resized. It is part of the checksum.
        conventional_names: Established names of metrics on these features, such as "FID".
    """

    name: str
    num_features: int
    resize: str
    conventional_names: ClassVar[Mapping[str, str]] = {}

    def title(self, metric: str) -> str:
        """Title of a metric on these features: its conventional name, or its own name with blanks."""
        return self.conventional_names.get(metric) or metric.replace("_", " ")

    @abstractmethod
    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 images (B, 3, R, R) to features (B, D) and logits (B, C). `forward` has checked the images."""

    @torch.inference_mode()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Extract features and logits.

        Args:
            images: uint8 (B, 3, R, R) in [0, 255], of any resolution.

        Returns:
            Features (B, D) and class logits (B, C), both float32.

        Raises:
            UserError: If the images have another dtype or shape.
        """
        require(
            images.dtype == torch.uint8 and images.ndim == 4 and images.shape[1] == 3,
            f"Feature extractors take uint8 images (B, 3, R, R), not {images.dtype} {tuple(images.shape)}: convert "
            "images in [-1, 1] with t2f.utils.images.to_uint8.",
        )
        features, logits = self.extract(images)
        return features.float(), logits.float()

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Ignore `mode`: the extractor stays in evaluation mode."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def checksum(self) -> str:
        """SHA-256 of the name, the resizing and the weights."""
        return weights_checksum(f"{self.name} {self.resize}", self)


def extract_features(extractor: FeatureExtractor, images: Tensor) -> Features:
    """Extract the features of uint8 images (N, 3, R, R) in batches. The result is on the CPU."""
    count = len(images)
    batches = track(images.split(BATCH_SIZE), f"Extracting the features of {count:,} images", count, BATCH_SIZE)
    outputs = [extractor(batch.to(extractor.device)) for batch in batches]
    features, logits = (torch.cat(part).cpu() for part in zip(*outputs, strict=True))
    return Features(images, features, logits)


def cached_features(extractor: FeatureExtractor, images: Images, cache: Path) -> Features:
    """Extract the features of a data set's images, or load them from the cache.

    The cache key covers all pixels, the extractor's weights, the device and the torch version.

    Args:
        extractor: Feature extractor.
        images: uint8 (N, 3, R, R), possibly memory-mapped.
        cache: Folder of the cached features.
    """
    device = extractor.device
    settings = {
        "images": checksum(images),
        "extractor": extractor.checksum(),
        # Rounding differs between devices and versions.
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
    }
    copy = torch.from_numpy(np.array(images))

    def extract() -> dict[str, Tensor]:
        extracted = extract_features(extractor, copy)
        return {"features": extracted.features, "logits": extracted.logits}

    tensors = cached_tensors(cache / f"features-{fingerprint(settings)}.safetensors", extract)
    return Features(copy, tensors["features"], tensors["logits"])

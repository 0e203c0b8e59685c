"""What a network trained on ImageNet sees in faces: the features that distances between sets of faces are taken in."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from t2f.data.faces import Images, checksum, fingerprint
from t2f.utils.cached_tensors import cached_tensors
from t2f.utils.errors import UserError, require
from t2f.utils.progress import track

BLOCK = 64
"""Faces are drawn and read so many at a time. It is no setting: networks round otherwise in batches of another size."""


class MissingPackage(UserError):
    """A feature extractor's package is not installed."""


@dataclass(frozen=True)
class Features:
    """What was read off N faces: uint8 images (N, 3, R, R), float32 features (N, D) and class logits (N, C)."""

    images: Tensor
    features: Tensor
    logits: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> Features:
        """With features and logits there; images stay where they are."""
        return Features(self.images, self.features.to(device), self.logits.to(device))


class FeatureExtractor(nn.Module, ABC):
    """uint8 images (B, 3, R, R) of any size -> features (B, D), class logits (B, C). Frozen, float32."""

    name: str
    """What its figures are told apart by: "Inception"."""
    size: int
    """D."""
    resize: str
    """How images are brought to the size that it reads."""
    known_as: ClassVar[Mapping[str, str]] = {}
    """The names that tradition gives to its figures: only Inception's has any."""

    def title(self, figure: str) -> str:
        """The title of "frechet_distance" with these features. Reports name the features once, in their heading."""
        return self.known_as.get(figure) or figure.replace("_", " ")

    @abstractmethod
    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` gives, of images that are known to be fit."""

    @torch.inference_mode()
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        require(
            images.dtype == torch.uint8 and images.ndim == 4 and images.shape[1] == 3,
            f"Features are read off uint8 images (B, 3, R, R), not {images.dtype} {tuple(images.shape)}: bring images "
            "in [-1, 1] to uint8 with t2f.utils.images.to_uint8.",
        )
        features, logits = self.read(images)
        return features.float(), logits.float()

    def train(self, mode: bool = True) -> FeatureExtractor:
        """It stays in evaluation mode."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def checksum(self) -> str:
        """Of its name, its resize and its weights."""
        digest = hashlib.sha256(f"{self.name} {self.resize}".encode())
        for name, weights in self.state_dict().items():
            digest.update(name.encode())
            digest.update(weights.cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()


def read_all(extractor: FeatureExtractor, images: Tensor) -> Features:
    """Read uint8 images (N, 3, R, R), block by block."""
    blocks = track(images.split(BLOCK), f"Reading the features of {len(images):,} faces", len(images), BLOCK)
    read = [extractor(block.to(extractor.device)) for block in blocks]
    features, logits = (torch.cat(part).cpu() for part in zip(*read, strict=True))
    return Features(images, features, logits)


def read_once(extractor: FeatureExtractor, images: Images, cache: Path) -> Features:
    """Read a data set's images; what was read is kept in `cache`, by every pixel and the extractor."""
    device = extractor.device
    settings = {
        "images": checksum(images),
        "extractor": extractor.checksum(),
        # These round otherwise.
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
    }
    key = fingerprint(settings)
    pictures = torch.from_numpy(np.array(images))

    def read() -> dict[str, Tensor]:
        reading = read_all(extractor, pictures)
        return {"features": reading.features, "logits": reading.logits}

    found = cached_tensors(cache / f"features-{key}.safetensors", read)
    return Features(pictures, found["features"], found["logits"])

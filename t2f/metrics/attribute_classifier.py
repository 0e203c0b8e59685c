"""A small network that reads attributes off faces, trained once on the real ones and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from safetensors.torch import load_file, save
from torch import Tensor, nn

from t2f.data.faces import Faces, fingerprint
from t2f.errors import disk_errors
from t2f.pictures import to_float

RECIPE = 4  # raise it with any change to the network or its training: readers are cached by it
EPOCHS = 10
MOST_IMAGES = 200_000  # of all epochs together: large sets need fewer
RESOLUTION = 32  # of what it reads; larger images are pooled
BATCH_SIZE = 128
LEARNING_RATE = 4e-3


class AttributeClassifier(nn.Module):
    """Images (B, 3, R, R) in [-1, 1] -> logits (B, attributes). What is larger than 32 pixels is read at 32."""

    def __init__(self, attributes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in (32, 64, 128):
            layers += [
                nn.Conv2d(channels, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
            ]
            channels = width
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2))
        self.head = nn.Linear(channels * 16, attributes)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] > RESOLUTION:
            images = F.adaptive_avg_pool2d(images, RESOLUTION)
        logits: Tensor = self.head(self.features(images))
        return logits

    @torch.inference_mode()
    def read(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """uint8 images (N, 3, R, R) -> bool (N, attributes)."""
        self.eval()
        return torch.cat([self(to_float(part)) > 0 for part in images.split(batch_size)])


def train_classifier(faces: Faces, seed: int = 0) -> AttributeClassifier:
    """Learn to read the attributes of `faces` where they can be told, by logistic loss.

    Each batch is shifted by up to two pixels and made noisy, so that the reader does not hang on details
    that only a real picture has.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = AttributeClassifier(len(faces.attribute_names))
        batches = [rows for _ in range(EPOCHS) for rows in torch.randperm(len(faces)).split(BATCH_SIZE)]
        batches = batches[: max(1, MOST_IMAGES // BATCH_SIZE)]
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(batches))
        targets = torch.from_numpy(faces.attributes.astype(np.float32))
        for rows in track(batches, "teaching the attribute reader", disable=not sys.stderr.isatty()):
            images = to_float(torch.from_numpy(faces.images[rows.numpy()]))
            images = images.roll(tuple(torch.randint(-2, 3, (2,)).tolist()), dims=(2, 3))
            images = images + 0.1 * torch.randn_like(images)
            known = targets[rows] >= 0
            loss = F.binary_cross_entropy_with_logits(classifier(images)[known], targets[rows][known])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return classifier.eval()


def cached_classifier(faces: Faces, cache: Path) -> AttributeClassifier:
    """The classifier of these faces and this recipe: from the cache, or trained and put there."""
    key = fingerprint(
        {
            "images": hashlib.sha256(faces.images[:: max(1, len(faces) // 4096)].tobytes()).hexdigest(),
            "labels": hashlib.sha256(faces.attributes.tobytes()).hexdigest(),
            "count": len(faces),
            "attributes": list(faces.attribute_names),
            "recipe": RECIPE,
        }
    )
    path = cache / f"attribute-reader-{key}.safetensors"
    if path.exists():
        classifier = AttributeClassifier(len(faces.attribute_names))
        classifier.load_state_dict(load_file(path))
        return classifier.eval()
    classifier = train_classifier(faces)
    with disk_errors(f"the attribute reader {path}"):
        cache.mkdir(parents=True, exist_ok=True)
        descriptor, side = tempfile.mkstemp(dir=cache, prefix=".attribute-reader-")
        os.close(descriptor)
        Path(side).write_bytes(save(classifier.state_dict()))
        Path(side).replace(path)
    return classifier

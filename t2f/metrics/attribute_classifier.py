"""A small network that reads attributes off faces, trained once on the real ones and kept in the cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.data.faces import Faces, checksum, fingerprint
from t2f.kept import kept
from t2f.pictures import to_float
from t2f.progress import followed

RECIPE = 4  # raise it with any change to the network or its training: readers are cached by it
EPOCHS = 10
MOST_IMAGES = 200_000  # of all epochs together: large sets need fewer
RESOLUTION = 32  # of what it reads; larger images are pooled
BATCH_SIZE = 128
LEARNING_RATE = 4e-3


def convolutions() -> nn.Sequential:
    """Images (B, 3, R, R) in [-1, 1] -> features (B, 2048)."""
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
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2))


def at_most_32(images: Tensor) -> Tensor:
    """Images (B, 3, R, R), larger ones pooled to 32 pixels."""
    return F.adaptive_avg_pool2d(images, RESOLUTION) if images.shape[-1] > RESOLUTION else images


def disturbed(images: Tensor) -> Tensor:
    """A batch shifted by up to two pixels and made noisy: a reader is not to hang on details of real pictures."""
    shifted = images.roll(tuple(torch.randint(-2, 3, (2,)).tolist()), dims=(2, 3))
    return shifted + 0.1 * torch.randn_like(shifted)


class AttributeClassifier(nn.Module):
    """Images (B, 3, R, R) in [-1, 1] -> logits (B, attributes)."""

    def __init__(self, attributes: int) -> None:
        super().__init__()
        self.features = convolutions()
        self.head = nn.Linear(2048, attributes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(at_most_32(images)))
        return logits

    @torch.inference_mode()
    def read(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """uint8 images (N, 3, R, R) -> bool (N, attributes)."""
        self.eval()
        return torch.cat([self(to_float(part)) > 0 for part in images.split(batch_size)])


def train_classifier(faces: Faces, seed: int = 0) -> AttributeClassifier:
    """Learn to read the attributes of `faces` where they can be told, by logistic loss."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        classifier = AttributeClassifier(len(faces.attribute_names))
        batches = [rows for _ in range(EPOCHS) for rows in torch.randperm(len(faces)).split(BATCH_SIZE)]
        if faces.images.shape[-1] <= 4:  # whose last map is one pixel, which has no variance in a batch of one
            batches = [rows.repeat(2) if len(rows) == 1 else rows for rows in batches]
        batches = batches[: max(1, MOST_IMAGES // BATCH_SIZE)]
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(batches))
        targets = torch.from_numpy(faces.attributes.astype(np.float32))
        for rows in followed(batches, "Training the attribute classifier, once for these faces", len(batches)):
            images = disturbed(to_float(torch.from_numpy(faces.images[rows.numpy()])))
            known = targets[rows] >= 0
            if known.any():  # else the mean is not a number
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
            "images": checksum(faces.images),
            "labels": hashlib.sha256(faces.attributes.tobytes()).hexdigest(),
            "attributes": list(faces.attribute_names),
            "recipe": RECIPE,
        }
    )
    with torch.random.fork_rng(devices=[]):
        classifier = AttributeClassifier(len(faces.attribute_names))
    weights = kept(cache / f"attribute-reader-{key}.safetensors", lambda: train_classifier(faces).state_dict())
    classifier.load_state_dict(weights)
    return classifier.eval()

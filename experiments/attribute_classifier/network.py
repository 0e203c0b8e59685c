"""The network trained from scratch that t2f used before the linear probe: three convolutions, ten epochs."""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor, nn

from t2f.data.faces import Faces
from t2f.metrics.dual_encoder import convolutions, pool_to_32
from t2f.utils.images import perturbed, to_float

EPOCHS = 10
MAX_IMAGES = 200_000  # summed over the epochs
BATCH_SIZE = 128
LEARNING_RATE = 4e-3


class Network(nn.Module):
    """Images (B, 3, R, R) in [-1, 1] -> logits (B, attributes)."""

    def __init__(self, attributes: int) -> None:
        super().__init__()
        self.features = convolutions()
        self.head = nn.Linear(2048, attributes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pool_to_32(images)))
        return logits

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """uint8 images (N, 3, R, R) -> (N, attributes)."""
        self.eval()
        return torch.cat([self(to_float(part)) for part in images.split(256)])


def train_network(faces: Faces, seed: int = 0) -> Network:
    """Train on the known attributes of `faces` by cross-entropy."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        classifier = Network(len(faces.attribute_names))
        batches = [rows for _ in range(EPOCHS) for rows in torch.randperm(len(faces)).split(BATCH_SIZE)]
        batches = batches[: max(1, MAX_IMAGES // BATCH_SIZE)]
        optimizer = torch.optim.AdamW(classifier.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(batches))
        targets = torch.from_numpy(faces.attributes.astype(np.float32))
        for rows in track(batches, "training the network", disable=not sys.stderr.isatty()):
            images = perturbed(to_float(torch.from_numpy(faces.images[rows.numpy()])))
            known = targets[rows] >= 0
            loss = F.binary_cross_entropy_with_logits(classifier(images)[known], targets[rows][known])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return classifier.eval()

"""Attribute classifier: a linear probe on an EfficientNet-Lite, fitted to the real images once and cached."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.data.faces import Faces, checksum, fingerprint
from t2f.networks.efficientnet import Network, pretrained_network
from t2f.utils.cached_tensors import cached_tensors
from t2f.utils.images import perturbed, to_float, to_uint8
from t2f.utils.progress import track

CACHE_VERSION = 6
"""Increase it with every change of the features or of the fit, to invalidate cached classifiers."""
RESOLUTION = 64
STAGES = 4  # of seven; the feature maps of later stages have less spatial information
POOLED = 4  # pixels
MAX_IMAGES = 10_000
WEIGHT_DECAY = 1e-2
STEPS = 60
BATCH_SIZE = 64


class AttributeClassifier(nn.Module):
    """Linear classifier of attributes on features of a frozen network.

    The features are the maps of the network's fourth stage, pooled to 4x4. Its globally pooled features are less
    accurate on faces because they lack spatial information (`experiments/attribute_classifier`).

    Args:
        attributes: Number of attributes A.
        network: Name of the network.

    Raises:
        ValueError: If there is no such network.
        MissingPackage: If timm or the package of the weights is not installed.
    """

    def __init__(self, attributes: int, network: Network = "efficientnet_lite0") -> None:
        super().__init__()
        model = pretrained_network(network)
        self.stages = nn.Sequential(model.conv_stem, model.bn1, *model.blocks[:STAGES])
        channels = model.blocks[STAGES][0].conv_pw.in_channels
        with torch.random.fork_rng(devices=[]):
            self.head = nn.Linear(channels * POOLED**2, attributes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def train(self, mode: bool = True) -> AttributeClassifier:
        """Set the mode of the head. The frozen network stays in evaluation mode."""
        super().train(mode)
        self.stages.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, R, R) to features (B, D): D is 1,280 of Lite0, 1,408 of Lite2."""
        size = (RESOLUTION, RESOLUTION)
        resized = F.interpolate(to_float(images), size=size, mode="bilinear", antialias=True)
        maps: Tensor = self.stages(resized.to(memory_format=torch.channels_last))
        return F.adaptive_avg_pool2d(maps, POOLED).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, 3, R, R) of any resolution to logits (B, A)."""
        logits: Tensor = self.head(self.features(images))
        return logits

    @torch.inference_mode()
    def predict(self, images: Tensor, batch_size: int = BATCH_SIZE) -> Tensor:
        """Predict the attributes of uint8 images (N, 3, R, R): bool (N, A), on the CPU."""
        return torch.cat([(self(batch.to(self.device)) > 0).cpu() for batch in images.split(batch_size)])


def train_classifier(
    faces: Faces, device: torch.device, seed: int = 0, network: Network = "efficientnet_lite0"
) -> AttributeClassifier:
    """Fit a classifier to the images and attributes of a data set.

    Each image is used twice, once perturbed. The perturbed copies do not change the accuracy on real images but improve
    it on generated ones, which differ from real ones in fine details (`experiments/attribute_classifier`).

    Args:
        faces: Data set. At most MAX_IMAGES random images of it are used.
        device: Device of the computation and of the classifier.
        seed: Seed of the choice of images and of the perturbation.
        network: Name of the network of the features.
    """
    classifier = AttributeClassifier(len(faces.attribute_names), network).to(device)
    rows = np.sort(np.random.default_rng(seed).permutation(len(faces))[:MAX_IMAGES])
    batches = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
    generator = torch.Generator().manual_seed(seed)
    features = []
    with torch.no_grad():
        for batch in track(batches, "Fitting the attribute classifier (once for this data set)", len(batches)):
            images = torch.from_numpy(faces.images[batch])
            both = torch.cat([images, to_uint8(perturbed(to_float(images), generator))]).to(device)
            features.append(classifier.features(both).unflatten(0, (2, -1)))
    attributes = torch.from_numpy(faces.attributes[rows]).to(device)
    weight, bias = fit_logistic(torch.cat(features, dim=1).flatten(0, 1), attributes.repeat(2, 1))
    with torch.no_grad():
        classifier.head.weight.copy_(weight)
        classifier.head.bias.copy_(bias)
    return classifier.eval()


def fit_logistic(features: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor]:
    """Fit one logistic regression for each attribute, by L-BFGS with weight decay.

    Both classes of an attribute have the same total weight, because the evaluation uses the balanced accuracy.

    Args:
        features: float32 (N, D).
        attributes: int8 (N, A): 1 present, 0 absent, -1 unknown, which is ignored.

    Returns:
        Weight (A, D) and bias (A,).
    """
    mean, std = features.mean(dim=0), features.std(dim=0, correction=0) + 1e-3
    normalized = (features - mean) / std
    classes = [(attributes == value).float() for value in (0, 1)]
    class_weights = sum(each / each.sum(dim=0).clamp(min=1) for each in classes)
    weight = torch.zeros(attributes.shape[1], features.shape[1], device=features.device, requires_grad=True)
    bias = torch.zeros(attributes.shape[1], device=features.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = F.linear(normalized, weight, bias)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, classes[1], reduction="none")
        loss = 0.5 * (class_weights * cross_entropy).sum() + WEIGHT_DECAY * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    scaled = weight.detach() / std
    return scaled, bias.detach() - scaled @ mean


def cached_classifier(
    faces: Faces, cache: Path, device: torch.device, network: Network = "efficientnet_lite0"
) -> AttributeClassifier:
    """Load the classifier of a data set from the cache, or fit and cache it.

    Args:
        faces: Data set. The cache key covers its images, attributes and attribute names.
        cache: Folder of the cached classifiers.
        device: Device of the classifier.
        network: Name of the network of the features.
    """
    key = fingerprint(
        {
            "images": checksum(faces.images),
            "labels": hashlib.sha256(faces.attributes.tobytes()).hexdigest(),
            "attributes": list(faces.attribute_names),
            "network": network,
            "version": CACHE_VERSION,
        }
    )
    classifier = AttributeClassifier(len(faces.attribute_names), network)

    def train() -> dict[str, Tensor]:
        return train_classifier(faces, device, network=network).head.state_dict()

    classifier.head.load_state_dict(cached_tensors(cache / f"attribute-classifier-{key}.safetensors", train))
    return classifier.to(device).eval()

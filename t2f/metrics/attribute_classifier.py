"""Which attributes a face has: a linear probe on EfficientNet-Lite0, fitted once to the real faces and cached."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.data.faces import Faces, checksum, fingerprint
from t2f.metrics.efficientnet import pretrained_network
from t2f.utils.cached_tensors import cached_tensors
from t2f.utils.images import perturbed, to_float, to_uint8
from t2f.utils.progress import track

RECIPE = 6  # raise it with any change to the features or the fit: classifiers are cached by it
RESOLUTION = 64  # that images are brought to
STAGES = 4  # of the seven: the maps of later ones tell less of where things are
FEATURES = 80 * 4 * 4
MAX_FACES = 10_000
WEIGHT_DECAY = 1e-2
STEPS = 60
BATCH_SIZE = 64


class AttributeClassifier(nn.Module):
    """uint8 images (B, 3, R, R) of any size -> logits (B, attributes), linear in features of a frozen network.

    The features are the maps of EfficientNet-Lite0's fourth stage, 4x4 values each. Its pooled features read faces less
    well, for they do not tell where things are (`experiments/attribute_classifier`).

    Raises `MissingPackage` where the network's package is not installed.
    """

    def __init__(self, attributes: int) -> None:
        super().__init__()
        network = pretrained_network()
        self.stages = nn.Sequential(network.conv_stem, network.bn1, *network.blocks[:STAGES])
        with torch.random.fork_rng(devices=[]):
            self.head = nn.Linear(FEATURES, attributes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def train(self, mode: bool = True) -> AttributeClassifier:
        """Keep the frozen network in evaluation mode."""
        super().train(mode)
        self.stages.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """uint8 images (B, 3, R, R) -> features (B, 1280)."""
        size = (RESOLUTION, RESOLUTION)
        resized = F.interpolate(to_float(images), size=size, mode="bilinear", antialias=True)
        maps: Tensor = self.stages(resized.to(memory_format=torch.channels_last))
        return F.adaptive_avg_pool2d(maps, 4).flatten(1)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images))
        return logits

    @torch.inference_mode()
    def read(self, images: Tensor, batch_size: int = BATCH_SIZE) -> Tensor:
        """uint8 images (N, 3, R, R) -> bool (N, attributes), on the CPU."""
        return torch.cat([(self(part.to(self.device)) > 0).cpu() for part in images.split(batch_size)])


def train_classifier(faces: Faces, device: torch.device, seed: int = 0) -> AttributeClassifier:
    """Fit the classifier on `device`, to at most MAX_FACES of the faces, which the seed chooses.

    Each face is given twice, the second time perturbed: without these copies the probe reads real faces as well, but
    generated ones, which differ from them in fine details, less well (`experiments/attribute_classifier`).
    """
    classifier = AttributeClassifier(len(faces.attribute_names)).to(device)
    rows = np.sort(np.random.default_rng(seed).permutation(len(faces))[:MAX_FACES])
    batches = [rows[start : start + BATCH_SIZE] for start in range(0, len(rows), BATCH_SIZE)]
    progress = track(batches, "Fitting the attribute classifier, once for these faces", len(batches))
    generator = torch.Generator().manual_seed(seed)
    features = []
    with torch.no_grad():
        for batch in progress:
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
    """Logistic regressions of attributes (N, A), 1 or 0, or -1 where unknown, on features (N, D): (A, D) and (A,).

    Of each attribute the faces that have it count as much, together, as those that do not, however rare it is: the
    figure that is taken, balanced accuracy, counts them so.
    """
    mean, deviation = features.mean(dim=0), features.std(dim=0, correction=0) + 1e-3
    standard = (features - mean) / deviation
    classes = [(attributes == value).float() for value in (0, 1)]
    counts = sum(each / each.sum(dim=0).clamp(min=1) for each in classes)
    weight = torch.zeros(attributes.shape[1], features.shape[1], device=features.device, requires_grad=True)
    bias = torch.zeros(attributes.shape[1], device=features.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = F.linear(standard, weight, bias)
        unlikely = F.binary_cross_entropy_with_logits(logits, classes[1], reduction="none")
        loss = 0.5 * (counts * unlikely).sum() + WEIGHT_DECAY * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    scaled = weight.detach() / deviation
    return scaled, bias.detach() - scaled @ mean


def cached_classifier(faces: Faces, cache: Path, device: torch.device) -> AttributeClassifier:
    """The classifier of these faces and this recipe: from the cache, or fitted and put there. It runs on `device`."""
    key = fingerprint(
        {
            "images": checksum(faces.images),
            "labels": hashlib.sha256(faces.attributes.tobytes()).hexdigest(),
            "attributes": list(faces.attribute_names),
            "recipe": RECIPE,
        }
    )
    classifier = AttributeClassifier(len(faces.attribute_names))

    def train() -> dict[str, Tensor]:
        return train_classifier(faces, device).head.state_dict()

    classifier.head.load_state_dict(cached_tensors(cache / f"attribute-classifier-{key}.safetensors", train))
    return classifier.to(device).eval()

"""Faces of two attributes, an artist that draws them, and an extractor that reads them, all in no time."""

import numpy as np
import torch
from torch import Tensor

from t2f.conditions.attributes import AttributeLabels
from t2f.data.faces import Faces
from t2f.metrics.features import FeatureExtractor

NAMES = ["Red", "Bright"]


def faces(seed: int, count: int) -> Faces:
    """Noise that is red, and bright in its upper half, or not: uint8 (count, 3, 8, 8)."""
    rng = np.random.default_rng(seed)
    attributes = rng.integers(0, 2, (count, 2)).astype(np.int8)
    images = rng.integers(60, 120, (count, 3, 8, 8))
    images[:, 0] += 100 * attributes[:, 0, None, None]
    images[:, 1:, :4] += 100 * attributes[:, 1, None, None, None]
    return Faces(images.astype(np.uint8), [["a face"]] * count, attributes, NAMES)


class MadeUp:
    """A data set."""

    name = "made up"
    mirror = False

    def __init__(self, train: int = 300, held_out: int = 60) -> None:
        self.train, self.held_out = faces(0, train), faces(1, held_out)

    def prepare(self) -> None:
        pass


def conditioner() -> AttributeLabels:
    return AttributeLabels(NAMES)


class Colours:
    """Draws what is asked for, with `blur` of noise; `deaf`, it draws whatever it likes."""

    noise_dim = 3 * 8 * 8
    device = torch.device("cpu")

    def __init__(self, blur: float = 0.136, deaf: bool = False) -> None:
        self.blur = blur
        self.deaf = deaf

    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        asked = (conditions.float() > 0).float()
        if self.deaf:
            asked = (noise[:, :2] > 0).float()
        images = torch.full((len(noise), 3, 8, 8), -0.298) + self.blur * noise.unflatten(1, (3, 8, 8))
        images[:, 0] += 0.784 * asked[:, 0, None, None]
        images[:, 1:, :4] += 0.784 * asked[:, -1, None, None, None]
        return images


class TinyFeatures(FeatureExtractor):
    """The mean of each colour in each half of the picture, and how even they are."""

    name = "tiny"
    size = 12
    resize = "none"

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1 / 255), requires_grad=False)

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        halves = (self.scale * images).unflatten(2, (2, -1)).flatten(3)
        features = torch.cat([halves.mean(dim=3).flatten(1), halves.std(dim=3).flatten(1)], dim=1)
        return features, features

"""Perceptual diversity of generated images (LPIPS)."""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

from t2f.metrics.base import NotMeasurable, cat_state
from t2f.metrics.features import BATCH_SIZE, Features
from t2f.utils.errors import UserError
from t2f.utils.images import to_float

RESOLUTION = 128
"""Pixels that images are resized to; the networks need at least about 64."""


class PerceptualDiversity(Metric):
    """Mean LPIPS distance (Zhang et al. 2018, arXiv:1801.03924) of random pairs of generated images.

    torchvision downloads the ImageNet weights of the network once into torch's cache.

    Args:
        net: LPIPS backbone.
        pairs: Number of pairs, at least 1.
        seed: Seed that chooses the pairs.

    Raises:
        ValueError: If `pairs` is less than 1.
        UserError: If the weights cannot be downloaded or are damaged.
    """

    full_state_update = False
    images: list[Tensor]

    def __init__(
        self, net: Literal["alex", "vgg", "squeeze"] = "alex", pairs: int = 1000, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if pairs < 1:
            raise ValueError(f"pairs must be at least 1, but is {pairs}.")
        self.pairs = pairs
        self.seed = seed
        try:
            with torch.random.fork_rng(devices=[]):
                self.network = LearnedPerceptualImagePatchSimilarity(net).net
        except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
            raise UserError(
                f"The weights of LPIPS's {net} could not be downloaded or are damaged "
                f"({str(error).partition(chr(10))[0]}): run with a network connection, put torchvision's file into "
                f"{torch.hub.get_dir()}/checkpoints, or leave LPIPS out with metrics=default."
            ) from error
        self.add_state("images", [], dist_reduce_fx="cat")

    def update(self, batch: Features, real: bool) -> None:
        """Add a batch of generated images. Real images are ignored."""
        if not real:
            self.images.append(batch.images)

    @torch.inference_mode()
    def compute(self) -> Tensor:
        """Return the mean distance, at least 0.

        Raises:
            NotMeasurable: If there are fewer than 2 generated images.
        """
        images = cat_state(self.images)
        count = len(images)
        if count < 2:
            raise NotMeasurable(f"At least 2 generated images are needed, but there are {count}.")
        generator = torch.Generator().manual_seed(self.seed)
        first = torch.randint(count, (self.pairs,), generator=generator)
        second = (first + torch.randint(1, count, (self.pairs,), generator=generator)) % count
        distances = [
            self.network(self._preprocess(images[a]), self._preprocess(images[b])).flatten()
            for a, b in zip(first.split(BATCH_SIZE), second.split(BATCH_SIZE), strict=True)
        ]
        return torch.cat(distances).double().mean()

    def _preprocess(self, images: Tensor) -> Tensor:
        size = (RESOLUTION, RESOLUTION)
        resized = F.interpolate(to_float(images), size=size, mode="bilinear", antialias=True)
        return resized.clamp(-1, 1).to(self.device)

"""How different are two drawn faces to the eye?"""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.image import LearnedPerceptualImagePatchSimilarity

from t2f.metrics.base import NotMeasurable, together
from t2f.metrics.features import BLOCK, Features
from t2f.utils.errors import UserError, require
from t2f.utils.images import to_float

SIZE = 128  # pixels that images are brought to: the networks need 64 or so


class PerceptualDiversity(Metric):
    """The mean LPIPS distance (Zhang et al. 2018, arXiv:1801.03924) of `pairs` pairs of drawn faces, drawn by `seed`.

    `net`'s ImageNet weights (alex, vgg or squeeze) are torchvision's, downloaded once, into torch's own cache.
    """

    full_state_update = False
    images: list[Tensor]

    def __init__(
        self, net: Literal["alex", "vgg", "squeeze"] = "alex", pairs: int = 1000, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require(pairs >= 1, f"PerceptualVariety's pairs is {pairs}: it must be at least 1.")
        self.pairs = pairs
        self.seed = seed
        try:
            with torch.random.fork_rng(devices=[]):
                self.network = LearnedPerceptualImagePatchSimilarity(net).net
        except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
            raise UserError(
                f"The weights of LPIPS's {net} could not be downloaded, or are damaged "
                f"({str(error).partition(chr(10))[0]}): run where there is a network, put torchvision's file of them "
                f"into {torch.hub.get_dir()}/checkpoints, or leave LPIPS out with metrics=default."
            ) from error
        self.add_state("images", [], dist_reduce_fx="cat")

    def update(self, reading: Features, real: bool) -> None:
        if not real:
            self.images.append(reading.images)

    @torch.inference_mode()
    def compute(self) -> Tensor:
        images = together(self.images)
        if len(images) < 2:
            raise NotMeasurable(f"2 drawn faces or more are needed, but there are {len(images)}.")
        chance = torch.Generator().manual_seed(self.seed)
        first = torch.randint(len(images), (self.pairs,), generator=chance)
        second = (first + torch.randint(1, len(images), (self.pairs,), generator=chance)) % len(images)
        distances = [
            self.network(self._shown(images[a]), self._shown(images[b])).flatten()
            for a, b in zip(first.split(BLOCK), second.split(BLOCK), strict=True)
        ]
        return torch.cat(distances).double().mean()

    def _shown(self, images: Tensor) -> Tensor:
        shown = F.interpolate(to_float(images), size=(SIZE, SIZE), mode="bilinear", antialias=True)
        return shown.clamp(-1, 1).to(self.device)

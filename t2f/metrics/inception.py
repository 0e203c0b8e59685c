"""Inception's features, the ones that make a Frechet distance an FID."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from t2f.metrics.features import FeatureExtractor, MissingPackage
from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
SOURCE = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS}"


class Inception(FeatureExtractor):
    """The Inception network of the first FID (Heusel et al. 2017, arXiv:1706.08500), by torch-fidelity.

    Features: pool3 (2,048). Logits: without bias (1,008), as in the published Inception Scores. Images are resized as
    TensorFlow 1 does, to 299 x 299 without antialiasing, which published figures do too.
    """

    known_as: ClassVar[dict[str, str]] = {
        "frechet_distance": "FID",
        "kernel_distance": "KID x 1000",
        "class_score": "Inception Score",
    }

    def __init__(self, weights_path: str | None = None) -> None:
        """`weights_path`: the file of the weights; without it they are downloaded once, into torch's own cache."""
        super().__init__()
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ImportError as error:
            raise MissingPackage(
                f"Inception's features need a package ({error}): {install_command('metrics')}."
            ) from error
        self.name = "Inception"
        self.size = 2048
        self.resize = "bilinear as TensorFlow 1, without antialiasing, to 299x299"
        instead = (
            f"get {SOURCE} and give its place with features.weights_path=FILE; features=efficientnet_lite0 needs no "
            "download"
        )
        require(
            weights_path is None or Path(weights_path).expanduser().is_file(),
            f"Inception's weights are not at features.weights_path={weights_path}: {instead}.",
        )
        path = str(Path(weights_path).expanduser()) if weights_path is not None else None
        try:
            if path is not None:
                torch.load(path, weights_only=True)  # torch-fidelity would unpickle whatever the file holds
            with torch.random.fork_rng(devices=[]):
                network = FeatureExtractorInceptionV3(
                    "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=path
                )
        except Exception as error:  # urllib's, torch's or pickle's
            if path is None:
                raise UserError(f"Inception's weights could not be downloaded ({error}): {instead}.") from error
            # torch's own reasons go on for pages, and advise to run whatever is in the file.
            raise UserError(f"{path} is damaged, or holds no weights of this Inception: {instead}.") from error
        self.network = network.eval().requires_grad_(False)

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.network(images)
        return features, logits

"""Inception features, on which the Frechet distance is the FID."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from t2f.metrics.features import FeatureExtractor
from t2f.utils.errors import UserError, require
from t2f.utils.extras import needs_extra

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
SOURCE = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{WEIGHTS}"


class Inception(FeatureExtractor):
    """torch-fidelity's port of the Inception network of the original FID (Heusel et al. 2017, arXiv:1706.08500).

    Features: pool3 (2,048). Logits: without bias (1,008), as in published Inception Scores. Images are resized to
    299 x 299 as in TensorFlow 1, without antialiasing, for results that compare with published ones.

    Args:
        weights_path: File of the weights. By default they are downloaded once into torch's cache.

    Raises:
        MissingPackage: If torch-fidelity is not installed.
        UserError: If the weights are missing, damaged or cannot be downloaded.
    """

    conventional_names: ClassVar[dict[str, str]] = {
        "frechet_distance": "FID",
        "kernel_distance": "KID x 1000",
        "class_score": "Inception Score",
    }

    def __init__(self, weights_path: str | None = None) -> None:
        super().__init__()
        with needs_extra("Inception", "metrics"):
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.name = "Inception"
        self.num_features = 2048
        self.resize = "bilinear as TensorFlow 1, without antialiasing, to 299x299"
        path = str(Path(weights_path).expanduser()) if weights_path is not None else None
        remedy = (
            f"download {SOURCE} and set features.weights_path to the file, or use features=efficientnet_lite0, which "
            "needs no download"
        )
        require(
            path is None or Path(path).is_file(),
            f"features.weights_path={weights_path} is not a file: {remedy}.",
        )
        try:
            if path is not None:
                torch.load(path, weights_only=True)  # torch-fidelity would unpickle arbitrary code
            with torch.random.fork_rng(devices=[]):
                network = FeatureExtractorInceptionV3(
                    "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=path
                )
        except Exception as error:  # of urllib, torch or pickle
            if path is None:
                raise UserError(f"The weights of Inception could not be downloaded ({error}): {remedy}.") from error
            # torch's message is long and advises to execute the code in the file, so it is left out.
            raise UserError(f"{path} is damaged or does not contain Inception's weights: {remedy}.") from error
        self.network = network.eval().requires_grad_(False)

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.network(images)
        return features, logits

"""The head of the progressive and the multi-scale discriminator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.base import Head
from t2f.networks.layers import EqualizedConv2d, EqualizedLinear, MinibatchStdDev
from t2f.utils.distributed import all_gather_with_grad

TEMPERATURE = 0.1
"""Temperature of the similarities (XMC-GAN, Zhang et al. 2021, arXiv:2101.04702, equation 1)."""


class MatchingHead(Head):
    """Scores 4x4 features with a text embedding.

    The embedding is compressed to `text_dim`, repeated over the 4x4 map and concatenated with the features (GAN-CLS,
    Reed et al. 2016, arXiv:1605.05396, section 4.1). With `project`, the score has a second term, the inner product of
    image features and projected embedding (Miyato & Koyama 2018, arXiv:1802.05637, equation 3). Unlike theirs, it has
    its own feature layer and is divided by sqrt(channels), and the first term also depends on the text. The similarity
    (XMC-GAN) and the attribute classifier use the same two layers. The unconditional score is that of StackGAN++
    (Zhang et al. 2018, arXiv:1710.10916).

    Args:
        channels: Channels of the features.
        embedding_dim: Length E of a text embedding.
        text_dim: Length of the compressed embedding.
        project: Whether to build the projection, and with it the similarity and the attribute classifier.
        unconditional: Whether to build the unconditional score.
        classes: Number A of attributes; 0 if the data have none.
    """

    def __init__(
        self, channels: int, embedding_dim: int, text_dim: int, project: bool, unconditional: bool, classes: int
    ) -> None:
        super().__init__()
        self.minibatch_stddev = MinibatchStdDev()
        self.conv = EqualizedConv2d(channels + 1, channels, 3, padding=1)
        self.compress = EqualizedLinear(embedding_dim, text_dim)
        self.join = EqualizedConv2d(channels + text_dim, channels, 1)
        self.dense = EqualizedLinear(channels * 16, channels)
        self.score = EqualizedLinear(channels, 1, gain=1.0)
        if project:
            self.features = EqualizedLinear(channels * 16, channels)
            self.projection = EqualizedLinear(embedding_dim, channels, gain=1.0)
            self.classifier = EqualizedLinear(channels, classes, gain=1.0)
            self.outputs |= {"similarity", "attribute_logits"}
        if unconditional:
            self.unconditional = nn.Sequential(
                EqualizedLinear(channels * 16, channels), nn.LeakyReLU(0.2), EqualizedLinear(channels, 1, gain=1.0)
            )
            self.outputs |= {"unconditional_logits"}
        self.project = project

    def forward(self, x: Tensor) -> Tensor:
        """Compute the features that all scores share: (B, channels, 4, 4) -> the same shape."""
        return F.leaky_relu(self.conv(self.minibatch_stddev(x)), 0.2)

    def conditional_logits(self, features: Tensor, text_embedding: Tensor) -> Tensor:
        text = self.compress(text_embedding)[:, :, None, None].expand(-1, -1, *features.shape[2:])
        x = F.leaky_relu(self.join(torch.cat([features, text.to(features.dtype)], dim=1)), 0.2)
        x = F.leaky_relu(self.dense(x.flatten(1)), 0.2)
        score: Tensor = self.score(x).float().squeeze(1)
        if self.project:
            image = self.image_features(features).float()
            score = score + (image * self.projection(text_embedding).float()).sum(1) / image.shape[1] ** 0.5
        return score

    def unconditional_logits(self, features: Tensor) -> Tensor:
        score: Tensor = self.unconditional(features.flatten(1)).float().squeeze(1)
        return score

    def similarity(self, features: Tensor, text_embedding: Tensor) -> Tensor:
        """Compute cosine similarities divided by the temperature."""
        image, text = self.image_features(features), self.projection(text_embedding)
        # Half precision cannot resolve differences between cosines near 1.
        with torch.autocast(features.device.type, enabled=False):
            image, text = (all_gather_with_grad(F.normalize(each.float(), dim=1)) for each in (image, text))
            return image @ text.T / TEMPERATURE

    def attribute_logits(self, features: Tensor, text_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Classify both sides of the similarity by the same layer, so that images and texts share a space."""
        image, text = self.image_features(features), self.projection(text_embedding)
        return self.classifier(image).float(), self.classifier(text).float()

    def image_features(self, features: Tensor) -> Tensor:
        return F.leaky_relu(self.features(features.flatten(1)), 0.2)

"""The discriminator's end: does a face look real, and does it match the words?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.layers import EqualizedConv2d, EqualizedLinear, MinibatchStdDev
from t2f.networks.sharing import gathered_to_learn

TEMPERATURE = 0.1
"""Of comparisons; XMC-GAN's, as its paper gives it."""


class MatchingHead(nn.Module):
    """Features (B, channels, 4, 4) and embedding (B, embedding_dim) -> scores (B,).

    The embedding joins the features, compressed to `text_dim` and repeated over the map, as in GAN-CLS (Reed et al.
    2016, arXiv:1605.05396, section 4.1). With `project` the score has a second term, the inner product of the
    picture's features with the projected embedding (Miyato & Koyama 2018, arXiv:1802.05637, equation 3), which teaches
    the words sooner; unlike theirs, it has a layer of features of its own and is scaled by 1 / sqrt(width), and the
    other term sees the embedding too. With `unconditional` it can also judge the picture alone, as StackGAN++'s
    discriminators do (Zhang et al. 2018, arXiv:1710.10916). With `project` it also tells `classes` attributes.
    """

    def __init__(
        self, channels: int, embedding_dim: int, text_dim: int, project: bool, unconditional: bool, classes: int
    ) -> None:
        super().__init__()
        width = channels
        self.spread = MinibatchStdDev()
        self.conv = EqualizedConv2d(width + 1, width, 3, padding=1)
        self.compress = EqualizedLinear(embedding_dim, text_dim)
        self.join = EqualizedConv2d(width + text_dim, width, 1)
        self.dense = EqualizedLinear(width * 16, width)
        self.score = EqualizedLinear(width, 1, gain=1.0)
        self.features = EqualizedLinear(width * 16, width) if project else None
        self.projection = EqualizedLinear(embedding_dim, width, gain=1.0) if project else None
        self.classifier = EqualizedLinear(width, classes, gain=1.0) if project and classes else None
        self.alone = (
            nn.Sequential(EqualizedLinear(width * 16, width), nn.LeakyReLU(0.2), EqualizedLinear(width, 1, gain=1.0))
            if unconditional
            else None
        )

    def see(self, x: Tensor) -> Tensor:
        """The part that needs no words: (B, channels, 4, 4) -> the same shape."""
        return F.leaky_relu(self.conv(self.spread(x)), 0.2)

    def judge(self, seen: Tensor, embedding: Tensor) -> Tensor:
        """What `see` gave, embedding (B, E) -> scores (B,)."""
        text = self.compress(embedding)[:, :, None, None].expand(-1, -1, *seen.shape[2:])
        x = F.leaky_relu(self.join(torch.cat([seen, text.to(seen.dtype)], dim=1)), 0.2)
        x = F.leaky_relu(self.dense(x.flatten(1)), 0.2)
        score = self.score(x).float().squeeze(1)
        if self.features is not None and self.projection is not None:
            features = F.leaky_relu(self.features(seen.flatten(1)), 0.2).float()
            score = score + (features * self.projection(embedding).float()).sum(1) / features.shape[1] ** 0.5
        return score

    def compare(self, seen: Tensor, embedding: Tensor) -> Tensor:
        """What `see` gave, embedding (B, E) -> cosines of all pairs over the temperature (N, N), pictures in rows.

        N is the size of the whole batch, where several processes share one.
        """
        assert self.features is not None
        assert self.projection is not None
        pictures = F.leaky_relu(self.features(seen.flatten(1)), 0.2)
        words = self.projection(embedding)
        with torch.autocast(seen.device.type, enabled=False):  # half precision cannot tell cosines near 1 apart
            pictures, words = (gathered_to_learn(F.normalize(each.float(), dim=1)) for each in (pictures, words))
            return pictures @ words.T / TEMPERATURE

    def classify(self, seen: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """What `see` gave, embedding (N, E) -> logits of attributes, (B, classes) and (N, classes).

        One classifier reads both from what `compare` compares, so that pictures and words have their place together.
        """
        assert self.features is not None
        assert self.projection is not None
        assert self.classifier is not None
        pictures = F.leaky_relu(self.features(seen.flatten(1)), 0.2)
        return self.classifier(pictures).float(), self.classifier(self.projection(embedding)).float()

    def judge_alone(self, seen: Tensor) -> Tensor:
        """What `see` gave -> scores (B,)."""
        assert self.alone is not None
        score: Tensor = self.alone(seen.flatten(1)).float().squeeze(1)
        return score

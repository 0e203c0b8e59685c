"""A small CLIP, trained on the real images and their captions, for R-precision."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.conditioning.base import Conditioner
from t2f.data.faces import Faces, checksum, fingerprint
from t2f.text.lstm import LSTMEncoder
from t2f.text.tokenizer import WordTokenizer
from t2f.utils.cached_tensors import cached_tensors
from t2f.utils.images import perturbed, to_float
from t2f.utils.progress import track

CACHE_VERSION = 3
"""Increase it with every change of the network, its training or its tokenizer, to invalidate cached encoders."""
VOCABULARY_SIZE = 4000
MAX_TOKENS = 60
EMBEDDING_DIM = 128
RESOLUTION = 32  # larger images are pooled to it
CAPTIONS_PER_IMAGE = 4
MAX_PAIRS = 80_000
MAX_IMAGES = 120_000  # over all epochs
EPOCHS = 12
BATCH_SIZE = 128
LEARNING_RATE = 2e-3


def convolutions() -> nn.Sequential:
    """Convolutional encoder of images (B, 3, R, R) in [-1, 1] with features (B, 2048)."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (32, 64, 128):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2))


def pool_to_32(images: Tensor) -> Tensor:
    """Pool images (B, 3, R, R) to 32 pixels where R is larger."""
    return F.adaptive_avg_pool2d(images, RESOLUTION) if images.shape[-1] > RESOLUTION else images


class DualEncoder(nn.Module):
    """Image and text encoder with a joint embedding space.

    Args:
        vocabulary_size: Number of token ids.
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.image_encoder = nn.Sequential(convolutions(), nn.Linear(2048, EMBEDDING_DIM))
        self.text_encoder = LSTMEncoder(vocabulary_size, word_dim=64, hidden_dim=256, layers=1, bidirectional=True)
        self.text_projection = nn.Linear(256, EMBEDDING_DIM)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def encode_images(self, images: Tensor) -> Tensor:
        """Map images (B, 3, R, R) in [-1, 1] to unit vectors (B, 128)."""
        return F.normalize(self.image_encoder(pool_to_32(images)), dim=1)

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Map token ids (B, L) to unit vectors (B, 128)."""
        return F.normalize(self.text_projection(self.text_encoder(tokens)), dim=1)

    def loss(self, images: Tensor, tokens: Tensor) -> Tensor:
        """Symmetric cross-entropy over the batch (Radford et al. 2021, arXiv:2103.00020, figure 3).

        Args:
            images: Images (B, 3, R, R) in [-1, 1].
            tokens: Token ids (B, L) of the matching captions.

        Returns:
            Scalar loss.
        """
        scale = self.log_scale.exp().clamp(max=100)
        logits = scale * self.encode_images(images) @ self.encode_tokens(tokens).T
        labels = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


class TextImageMatcher:
    """A trained dual encoder and its tokenizer. Embeddings are unit vectors (N, 128) on the CPU."""

    def __init__(self, encoder: DualEncoder, tokenizer: WordTokenizer) -> None:
        self.encoder = encoder.eval()
        self.tokenizer = tokenizer

    @property
    def device(self) -> torch.device:
        return self.encoder.log_scale.device

    @torch.inference_mode()
    def encode_images(self, images: Tensor, batch_size: int = 256) -> Tensor:
        """Embed uint8 images (N, 3, R, R)."""
        batches = (batch.to(self.device) for batch in images.split(batch_size))
        return torch.cat([self.encoder.encode_images(to_float(batch)).cpu() for batch in batches])

    @torch.inference_mode()
    def encode_captions(self, captions: Sequence[str], batch_size: int = 256) -> Tensor:
        """Embed N captions."""
        batches = (batch.to(self.device) for batch in self.tokenizer(captions).split(batch_size))
        return torch.cat([self.encoder.encode_tokens(batch).cpu() for batch in batches])


def train_encoder(
    faces: Faces, indices: Tensor, tokens: Tensor, vocabulary_size: int, device: torch.device, seed: int = 0
) -> DualEncoder:
    """Train a dual encoder on N pairs of image and caption.

    Args:
        faces: Data set of the images.
        indices: Index of each pair's image, int64 (N,).
        tokens: Token ids of each pair's caption (N, L).
        vocabulary_size: Number of token ids.
        device: Device of the training and of the encoder.
        seed: Seed of initialization, order, perturbation and dropout.

    Returns:
        The encoder in evaluation mode.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type != "cpu":
            torch.get_device_module(device).manual_seed(seed)  # dropout uses the generator of the device
        encoder = DualEncoder(vocabulary_size).to(device)
        batches = [rows for _ in range(EPOCHS) for rows in torch.randperm(len(indices)).split(BATCH_SIZE)]
        if faces.images.shape[-1] <= 4:  # the last map has one pixel: batch norm needs two samples
            batches = [rows.repeat(2) if len(rows) == 1 else rows for rows in batches]
        batches = batches[: max(1, MAX_IMAGES // BATCH_SIZE)]
        optimizer = torch.optim.AdamW(encoder.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(batches))
        for rows in track(batches, "Training the dual encoder (once for this data set)", len(batches)):
            images = to_float(torch.from_numpy(faces.images[indices[rows].numpy()]))
            loss = encoder.loss(perturbed(images).to(device), tokens[rows].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return encoder.eval()


def cached_matcher(faces: Faces, conditioner: Conditioner, cache: Path, device: torch.device) -> TextImageMatcher:
    """Load the matcher of a data set from the cache, or train and cache it.

    Args:
        faces: Data set of the images.
        conditioner: Source of the captions.
        cache: Folder of the cached encoders. The key covers images and captions.
        device: Device of the matcher.
    """
    described = conditioner.count_described(faces) or len(faces)
    pairs = conditioner.prompt_set(faces, min(CAPTIONS_PER_IMAGE * described, MAX_PAIRS), seed=0)
    tokenizer = WordTokenizer.train(pairs.descriptions, VOCABULARY_SIZE, MAX_TOKENS)
    captions = hashlib.sha256(json.dumps(pairs.descriptions).encode()).hexdigest()
    key = fingerprint({"images": checksum(faces.images), "captions": captions, "version": CACHE_VERSION})

    def train() -> dict[str, Tensor]:
        tokens = tokenizer(pairs.descriptions)
        indices = torch.from_numpy(np.array(pairs.faces))
        return train_encoder(faces, indices, tokens, len(tokenizer), device).state_dict()

    with torch.random.fork_rng(devices=[]):
        encoder = DualEncoder(len(tokenizer))
    encoder.load_state_dict(cached_tensors(cache / f"dual-encoder-{key}.safetensors", train))
    return TextImageMatcher(encoder.to(device), tokenizer)

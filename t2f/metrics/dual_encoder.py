"""A small CLIP: pictures and words in one space, learnt from the real faces, to find a face's words among others'."""

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

RECIPE = 2  # raise it with any change to the network, its training or its tokenizer: encoders are cached by it
WORDS = 4000
MOST_TOKENS = 60
SIZE = 128
RESOLUTION = 32  # of the images that it reads; larger ones are pooled
CAPTIONS_PER_FACE = 4
MOST_PAIRS = 80_000  # written
MOST_IMAGES = 120_000  # shown, of all epochs together
EPOCHS = 12
BATCH_SIZE = 128
LEARNING_RATE = 2e-3


def convolutions() -> nn.Sequential:
    """Images (B, 3, R, R) in [-1, 1] -> features (B, 2048)."""
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


def at_most_32(images: Tensor) -> Tensor:
    """Images (B, 3, R, R), larger ones pooled to 32 pixels."""
    return F.adaptive_avg_pool2d(images, RESOLUTION) if images.shape[-1] > RESOLUTION else images


class DualEncoder(nn.Module):
    """Images (B, 3, R, R) in [-1, 1] and token ids (B, L) -> unit vectors (B, 128), near where they belong together."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.face = nn.Sequential(convolutions(), nn.Linear(2048, SIZE))
        self.words = LSTMEncoder(vocabulary, word_dim=64, hidden_dim=256, layers=1, bidirectional=True)
        self.sentence = nn.Linear(256, SIZE)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def of_images(self, images: Tensor) -> Tensor:
        return F.normalize(self.face(at_most_32(images)), dim=1)

    def of_tokens(self, tokens: Tensor) -> Tensor:
        return F.normalize(self.sentence(self.words(tokens)), dim=1)

    def loss(self, images: Tensor, tokens: Tensor) -> Tensor:
        """The symmetric cross-entropy of finding each other in the batch (Radford et al. 2021, arXiv:2103.00020)."""
        scale = self.log_scale.exp().clamp(max=100)
        logits = scale * self.of_images(images) @ self.of_tokens(tokens).T
        own = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


class TextImageMatcher:
    """A trained dual encoder with its tokenizer: uint8 images and captions -> unit vectors (N, 128), on the CPU."""

    def __init__(self, encoder: DualEncoder, tokenizer: WordTokenizer) -> None:
        self.encoder = encoder.eval()
        self.tokenizer = tokenizer

    @property
    def device(self) -> torch.device:
        return self.encoder.log_scale.device

    @torch.inference_mode()
    def of_images(self, images: Tensor, batch_size: int = 256) -> Tensor:
        parts = (part.to(self.device) for part in images.split(batch_size))
        return torch.cat([self.encoder.of_images(to_float(part)).cpu() for part in parts])

    @torch.inference_mode()
    def of_captions(self, captions: Sequence[str], batch_size: int = 256) -> Tensor:
        parts = (part.to(self.device) for part in self.tokenizer(captions).split(batch_size))
        return torch.cat([self.encoder.of_tokens(part).cpu() for part in parts])


def train_encoder(
    images: Faces, faces: Tensor, tokens: Tensor, vocabulary: int, device: torch.device, seed: int = 0
) -> DualEncoder:
    """Learn from pairs on `device`: the numbers of the faces (N,), and the words of each as token ids (N, L)."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type != "cpu":
            torch.get_device_module(device).manual_seed(seed)  # of the dropout
        encoder = DualEncoder(vocabulary).to(device)
        batches = [rows for _ in range(EPOCHS) for rows in torch.randperm(len(faces)).split(BATCH_SIZE)]
        if images.images.shape[-1] <= 4:  # whose last map is one pixel, which has no variance in a batch of one
            batches = [rows.repeat(2) if len(rows) == 1 else rows for rows in batches]
        batches = batches[: max(1, MOST_IMAGES // BATCH_SIZE)]
        optimizer = torch.optim.AdamW(encoder.parameters(), lr=LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=len(batches))
        for rows in track(batches, "Training the dual encoder, once for these faces and words", len(batches)):
            shown = to_float(torch.from_numpy(images.images[faces[rows].numpy()]))
            loss = encoder.loss(perturbed(shown).to(device), tokens[rows].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return encoder.eval()


def cached_matcher(faces: Faces, conditioner: Conditioner, cache: Path, device: torch.device) -> TextImageMatcher:
    """The matcher of these faces and the words that the conditioner has for them: from the cache, or trained.

    It is trained, and runs, on `device`.
    """
    described = conditioner.described(faces) or len(faces)
    pairs = conditioner.prompt_set(faces, min(CAPTIONS_PER_FACE * described, MOST_PAIRS), seed=0)
    tokenizer = WordTokenizer.train(pairs.descriptions, WORDS, MOST_TOKENS)
    words = hashlib.sha256(json.dumps(pairs.descriptions).encode()).hexdigest()
    key = fingerprint({"images": checksum(faces.images), "words": words, "recipe": RECIPE})

    def train() -> dict[str, Tensor]:
        tokens = tokenizer(pairs.descriptions)
        numbers = torch.from_numpy(np.array(pairs.faces))
        return train_encoder(faces, numbers, tokens, len(tokenizer), device).state_dict()

    with torch.random.fork_rng(devices=[]):
        encoder = DualEncoder(len(tokenizer))
    encoder.load_state_dict(cached_tensors(cache / f"dual-encoder-{key}.safetensors", train))
    return TextImageMatcher(encoder.to(device), tokenizer)

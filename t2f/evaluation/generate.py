"""Generation of the images of an evaluation."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from t2f.metrics.features import BATCH_SIZE, FeatureExtractor, Features
from t2f.utils.distributed import rank_and_world_size
from t2f.utils.errors import require
from t2f.utils.images import to_uint8
from t2f.utils.progress import track


class ImageGenerator(Protocol):
    """A conditional generator: the LightningModule or a pipeline."""

    @property
    def noise_dim(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Generate images with the averaged weights.

        Args:
            conditions: Conditions (B, ...).
            noise: Standard normal noise (B, noise_dim).

        Returns:
            Images (B, 3, r, r), approximately in [-1, 1].
        """
        ...


@torch.inference_mode()
def generate_images(
    generator: ImageGenerator,
    conditions: Tensor,
    seed: int,
    extractor: FeatureExtractor | None,
    truncation: float = 1.0,
) -> Features:
    """Generate one image for each condition and extract its features.

    Each process generates a part of the batches, and all processes receive all of them. On the same kind of device the
    result is bitwise equal for any number of processes.

    Args:
        generator: Generator.
        conditions: Conditions (N, ...).
        seed: Seed of the noise.
        extractor: Feature extractor. Without one, features and logits have shape (N, 0).
        truncation: Factor of the noise, as in `Pipeline.noise`.

    Raises:
        UserError: If a pixel is not finite.
    """
    count = len(conditions)
    noise = truncation * torch.randn(count, generator.noise_dim, generator=torch.Generator().manual_seed(seed))
    rank, world_size = rank_and_world_size()
    batches: dict[int, tuple[Tensor, ...]] = {}
    starts = range(rank * BATCH_SIZE, count, world_size * BATCH_SIZE)
    title = f"Generating {count:,} images for the evaluation"
    for start in track(starts, title, count, world_size * BATCH_SIZE, quiet=rank > 0):
        rows = slice(start, start + BATCH_SIZE)
        samples = generator.sample(conditions[rows].to(generator.device), noise[rows].to(generator.device))
        images = to_uint8(samples)
        features, logits = extractor(images) if extractor is not None else 2 * (samples.new_empty(len(images), 0),)
        batches[start] = (samples.isfinite().all().cpu(), images.cpu(), features.cpu(), logits.cpu())
    if world_size > 1:
        shards: list[dict[int, tuple[Tensor, ...]]] = [{}] * world_size
        dist.all_gather_object(shards, batches)
        batches = {start: batch for shard in shards for start, batch in shard.items()}
    finite, *parts = zip(*(batches[start] for start in sorted(batches)), strict=True)
    # Checked after the gather, so that an error in one process does not leave the others waiting.
    require(
        all(finite), "The model generates pixels that are not finite: its training has diverged, so use another model."
    )
    return Features(*(torch.cat(part) for part in parts))

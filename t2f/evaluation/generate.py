"""Faces drawn for an evaluation: the same ones however many processes draw them."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from t2f.metrics.features import BLOCK, FeatureExtractor, Features
from t2f.utils.distributed import rank_and_world_size
from t2f.utils.errors import require
from t2f.utils.images import to_uint8
from t2f.utils.progress import track


class ImageGenerator(Protocol):
    """What draws: a system in training, or a painter."""

    @property
    def noise_dim(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Conditions (B, ...), noise (B, noise_dim) -> images (B, 3, r, r), about [-1, 1], by the averaged weights."""
        ...


@torch.inference_mode()
def draw(
    generator: ImageGenerator,
    conditions: Tensor,
    seed: int,
    extractor: FeatureExtractor | None,
    truncation: float = 1.0,
) -> Features:
    """Draw one face for each of the conditions (N, ...), and read its features; without extractor, none of them.

    `truncation` scales the noise, as in `Pipeline.noise`.

    They are drawn in blocks, of which each process takes its share, and given to every process. On the same device,
    they are to the last bit those of one process.

    Raises `UserError` if a pixel is not finite.
    """
    noise = truncation * torch.randn(
        len(conditions), generator.noise_dim, generator=torch.Generator().manual_seed(seed)
    )
    rank, world_size = rank_and_world_size()
    blocks: dict[int, tuple[Tensor, ...]] = {}
    starts = range(rank * BLOCK, len(conditions), world_size * BLOCK)
    title = f"Drawing {len(conditions):,} faces to measure"
    for start in track(starts, title, len(conditions), world_size * BLOCK, quiet=rank > 0):
        rows = slice(start, start + BLOCK)
        images = generator.sample(conditions[rows].to(generator.device), noise[rows].to(generator.device))
        pictures = to_uint8(images)
        features, logits = extractor(pictures) if extractor is not None else 2 * (images.new_empty(len(images), 0),)
        blocks[start] = (images.isfinite().all().cpu(), pictures.cpu(), features.cpu(), logits.cpu())
    if world_size > 1:
        shares: list[dict[int, tuple[Tensor, ...]]] = [{}] * world_size
        dist.all_gather_object(shares, blocks)
        blocks = {start: block for share in shares for start, block in share.items()}
    finite, *parts = zip(*(blocks[start] for start in sorted(blocks)), strict=True)
    # Asked when all are together, so that no process leaves the others waiting.
    require(all(finite), "The model draws pixels that are not numbers: its training has diverged, so use another one.")
    return Features(*(torch.cat(part) for part in parts))

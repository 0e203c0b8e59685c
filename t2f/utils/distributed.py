"""Batches shared by several processes: process r of n holds every n-th row from row r on, as the sampler deals them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, distributed


def rank_and_world_size() -> tuple[int, int]:
    """Return the number of this process and the number of processes; (0, 1) without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def sharded_randn(count: int, *shape: int, device: torch.device) -> Tensor:
    """Draw standard normal numbers for this process's rows of the global batch.

    Each process draws the numbers of the global batch and keeps its own rows. With equal seeds, a row has the same
    numbers for every number of processes.

    Args:
        count: Rows of this process.
        shape: Shape of a row.
        device: Device of the result.

    Returns:
        float32 (count, *shape).
    """
    return sharded(torch.randn, count, shape, device)


def sharded_rand(count: int, *shape: int, device: torch.device) -> Tensor:
    """Draw uniform numbers in [0, 1), otherwise as `sharded_randn`."""
    return sharded(torch.rand, count, shape, device)


def sharded(draw: Callable[..., Tensor], count: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
    rank, world_size = rank_and_world_size()
    return draw(count * world_size, *shape, device=device)[rank::world_size]


def all_gather(shard: Tensor) -> Tensor:
    """Gather the rows (B, ...) of all processes into the global batch (B * world size, ...), without gradients."""
    _, world_size = rank_and_world_size()
    if world_size == 1:
        return shard.detach()
    shards = [torch.empty_like(shard) for _ in range(world_size)]
    distributed.all_gather(shards, shard.contiguous())
    return torch.stack(shards, dim=1).flatten(0, 1)


def all_gather_with_grad(shard: Tensor) -> Tensor:
    """Gather as `all_gather`, with gradients to the rows of this process.

    All processes compute the same loss of the global batch. DDP then averages the gradients over processes, so each
    process multiplies its own by the world size.
    """
    rank, world_size = rank_and_world_size()
    if world_size == 1:
        return shard
    batch = all_gather(shard)
    batch[rank::world_size] = world_size * shard - (world_size - 1) * shard.detach()
    return batch

"""Operations on a global batch that is split over processes: process r of n holds the rows r, r + n, r + 2n, ..."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, distributed


def rank_and_world_size() -> tuple[int, int]:
    """Return the rank of this process and the number of processes; (0, 1) without a process group."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def sharded_randn(count: int, *shape: int, device: torch.device) -> Tensor:
    """Sample standard normal noise for this process's rows of the global batch.

    Each process samples the noise of the global batch and keeps its own rows. With equal seeds, a row of the global
    batch gets the same noise for every number of processes.

    Args:
        count: Rows of this process.
        shape: Shape of a row.
        device: Device of the result.

    Returns:
        float32 (count, *shape).
    """
    return _sharded(torch.randn, count, shape, device)


def sharded_rand(count: int, *shape: int, device: torch.device) -> Tensor:
    """Sample uniform noise in [0, 1); see `sharded_randn`."""
    return _sharded(torch.rand, count, shape, device)


def _sharded(sample: Callable[..., Tensor], count: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
    rank, world_size = rank_and_world_size()
    return sample(count * world_size, *shape, device=device)[rank::world_size]


def all_gather(shard: Tensor) -> Tensor:
    """Gather the rows of all processes, without gradients.

    Args:
        shard: Rows of this process, (B, ...). B and the dtype must be the same in all processes.

    Returns:
        The global batch, (B * world_size, ...).
    """
    _, world_size = rank_and_world_size()
    if world_size == 1:
        return shard.detach()
    shards = [torch.empty_like(shard) for _ in range(world_size)]
    distributed.all_gather(shards, shard.contiguous())
    return torch.stack(shards, dim=1).flatten(0, 1)


def all_gather_with_grad(shard: Tensor) -> Tensor:
    """Gather the rows of all processes, with gradients to the rows of this process.

    If all processes compute the same loss from the global batch, the gradients that DDP averages must be multiplied by
    the world size. This function does so.

    Args:
        shard: Rows of this process, (B, ...).

    Returns:
        The global batch, (B * world_size, ...).
    """
    rank, world_size = rank_and_world_size()
    if world_size == 1:
        return shard
    batch = all_gather(shard)
    batch[rank::world_size] = world_size * shard - (world_size - 1) * shard.detach()
    return batch

"""A batch that several processes share: process r of n has every n-th of its faces from r on, as the sampler deals."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, distributed


def place() -> tuple[int, int]:
    """The number of this process and of all: 0 and 1 where there is only one."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def drawn(draw: Callable[..., Tensor], count: int, *shape: int, device: torch.device) -> Tensor:
    """Numbers (count, *shape) of `draw` (torch.rand or torch.randn) for this process's share of a batch.

    Each process draws those of the whole batch. With one seed for all, a face has the same numbers however many
    processes there are.
    """
    rank, processes = place()
    return draw(count * processes, *shape, device=device)[rank::processes]


def gathered(share: Tensor) -> Tensor:
    """The shares (count, ...) of all processes -> the whole batch (count * processes, ...), without gradients."""
    if place()[1] == 1:
        return share.detach()
    shares = [torch.empty_like(share) for _ in range(place()[1])]
    distributed.all_gather(shares, share.contiguous())
    return torch.stack(shares, dim=1).flatten(0, 1)


def gathered_to_learn(share: Tensor) -> Tensor:
    """As `gathered`, but each process can learn from its own share, by a loss that all take of the whole batch.

    A gradient counts as many times as there are processes, since the average over them is taken afterwards.
    """
    rank, processes = place()
    if processes == 1:
        return share
    whole = gathered(share)
    whole[rank::processes] = processes * share - (processes - 1) * share.detach()
    return whole

"""Optimizers that keep their configured settings when they take over a checkpoint's state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from t2f.errors import UserError, require


def make_optimizer(make: Callable[..., Optimizer], parameters: Sequence[nn.Parameter], setting: str) -> Optimizer:
    """Make an optimizer of `parameters` whose `load_state_dict` takes the state but not the hyperparameters.

    PyTorch's own takes both, so betas, eps or weight decay that were changed in the config would have no effect on
    resume.

    `setting`: the name of its config, for messages.

    Raises `UserError` where it cannot be made; and on loading, where the state is of another kind of optimizer, or of
    other parameters.
    """
    try:
        optimizer = make(parameters)
    except (TypeError, ValueError) as error:
        raise UserError(f"An optimiser cannot be made: {error}; see {setting}.") from error

    def keep_settings(optimizer: Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
        (group,) = saved["param_groups"]
        require(
            len(group["params"]) == len(parameters),
            f"The checkpoint's optimiser trained {len(group['params'])} tensors of weights, but that of {setting} is "
            f"to train {len(parameters)}: resume with the model settings it had, such as model.encoder_learns_from.",
        )
        found, needed = {name for state in saved["state"].values() for name in state}, state_names(make, parameters)
        require(
            not saved["state"] or found == needed,
            f"The checkpoint's optimiser keeps {listed(found)} of each weight, but that of {setting} keeps "
            f"{listed(needed)}: resume with the kind of optimiser it had, or start anew.",
        )
        # The learning rate is set before each step. All else must be in place before PyTorch loads the state, since
        # `fused` and `capturable` decide on which device its step counts are.
        settings = {name: value for name, value in optimizer.defaults.items() if name != "lr"}
        return {**saved, "param_groups": [{**group, **settings}]}

    optimizer.register_load_state_dict_pre_hook(keep_settings)
    return optimizer


def state_names(make: Callable[..., Optimizer], parameters: Sequence[nn.Parameter]) -> set[str]:
    """What an optimizer keeps of each weight from step to step, such as Adam's moments. One weight takes a step."""
    weight = nn.Parameter(torch.zeros(1, device=parameters[0].device))
    weight.grad = torch.zeros_like(weight)
    optimizer = make([weight])
    optimizer.step()
    return set(optimizer.state[weight])


def listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"

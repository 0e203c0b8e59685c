"""The two optimizers and their learning rates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from t2f.training.growth_schedule import ScheduleState
from t2f.training.lr_schedule import LearningRateSchedule
from t2f.utils.errors import require

MakeOptimizer = Callable[..., Optimizer]


class Optimizers:
    """Makes the optimizers of generator and discriminator, and sets their learning rates.

    Args:
        generator: Makes the generator's optimizer from a list of parameters.
        discriminator: Makes the discriminator's.
        lr_schedule: Factor of both learning rates.

    Attributes:
        capturable: Whether CUDA graphs can record the steps of both.

    Raises:
        ValueError: An optimizer cannot be made.
    """

    def __init__(self, generator: MakeOptimizer, discriminator: MakeOptimizer, lr_schedule: LearningRateSchedule):
        self.makers = {"generator": generator, "discriminator": discriminator}
        self.lr_schedule = lr_schedule
        self.settings: dict[str, dict[str, Any]] = {}
        for name, make in self.makers.items():
            try:
                self.settings[name] = make([nn.Parameter(torch.zeros(1))]).defaults
            except (TypeError, ValueError) as error:
                raise ValueError(f"{name} is not a valid optimizer: {error}.") from error
        self.capturable = all("capturable" in each or each.get("fused") for each in self.settings.values())

    def make(
        self, generator: Iterable[nn.Parameter], discriminator: Iterable[nn.Parameter], recorded: bool = False
    ) -> list[Optimizer]:
        """Make the optimizers of these parameters, the generator's first.

        Args:
            generator: Parameters.
            discriminator: Parameters.
            recorded: Whether CUDA graphs will record the steps. States are then on the device.

        Raises:
            UserError: On loading a state, if that is of another kind of optimizer or of other parameters.
        """
        parameters = {"generator": list(generator), "discriminator": list(discriminator)}
        makers = dict(self.makers)
        if recorded:
            options = {
                name: {"capturable": True} if "capturable" in each else {} for name, each in self.settings.items()
            }
            makers = {name: partial(make, **options[name]) for name, make in makers.items()}
        return [make_optimizer(make, parameters[name], name) for name, make in makers.items()]

    def set_learning_rates(self, optimizers: Iterable[Any], state: ScheduleState) -> None:
        """Set each learning rate to its configured value times the schedule's factor."""
        factor = self.lr_schedule(state)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                rate = optimizer.defaults["lr"] * factor
                if isinstance(group["lr"], Tensor):
                    group["lr"].fill_(rate)  # in the place that a recorded step reads
                else:
                    group["lr"] = rate


def make_optimizer(make: MakeOptimizer, parameters: Sequence[nn.Parameter], name: str) -> Optimizer:
    """Make an optimizer whose `load_state_dict` takes the state of a checkpoint, but not its hyperparameters.

    PyTorch's own takes both, so that betas, eps or weight decay changed in the config would have no effect on resume.

    Args:
        make: Makes the optimizer from a list of parameters.
        parameters: The parameters to train.
        name: The network's name, for messages.
    """
    optimizer = make(parameters)

    def keep_settings(optimizer: Optimizer, saved: dict[str, Any]) -> dict[str, Any]:
        (group,) = saved["param_groups"]
        require(
            len(group["params"]) == len(parameters),
            f"The checkpoint's {name} optimizer trains {len(group['params'])} tensors of weights, this run's "
            f"{len(parameters)}: resume with the same model settings, such as encoder_learns_from.",
        )
        found, needed = {key for state in saved["state"].values() for key in state}, state_names(make, parameters)
        require(
            not saved["state"] or found == needed,
            f"The checkpoint's {name} optimizer stores {listed(found)} for each weight, this run's {listed(needed)}: "
            "resume with the same optimizer, or start a new run.",
        )
        # The learning rate is set before each step. All else must be in place before PyTorch loads the state, since
        # `fused` and `capturable` decide on which device its step counts are.
        settings = {key: value for key, value in optimizer.defaults.items() if key != "lr"}
        return {**saved, "param_groups": [{**group, **settings}]}

    optimizer.register_load_state_dict_pre_hook(keep_settings)
    optimizer.register_state_dict_post_hook(store_rates_as_numbers)
    return optimizer


def rates_to_tensors(optimizers: Iterable[Any], device: torch.device) -> None:
    """Turn learning rates into 0-d tensors, which a recorded step reads."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = torch.tensor(float(group["lr"]), device=device)


def store_rates_as_numbers(optimizer: Optimizer, state: dict[str, Any]) -> None:
    for group in state["param_groups"]:
        group["lr"] = float(group["lr"])


def state_names(make: MakeOptimizer, parameters: Sequence[nn.Parameter]) -> set[str]:
    """Return the names of an optimizer's state of one weight, such as Adam's moments, by taking a step."""
    weight = nn.Parameter(torch.zeros(1, device=parameters[0].device))
    weight.grad = torch.zeros_like(weight)
    optimizer = make([weight])
    optimizer.step()
    return set(optimizer.state[weight])


def listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"

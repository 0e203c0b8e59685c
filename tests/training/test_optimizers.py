import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from test_train import assert_equal
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from t2f.cli.train import train
from t2f.training.growth_schedule import ScheduleState
from t2f.training.lr_schedule import LinearDecay
from t2f.training.optimizers import Optimizers, make_optimizer, rates_to_tensors
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError
from t2f.utils.instantiate import from_yaml

Tiny = Callable[..., DictConfig]
Make = Callable[..., Optimizer]
CHANGED = {
    "lr": 0.001,
    "betas": [0.5, 0.9],
    "eps": 1e-5,
    "weight_decay": 0.1,
    "fused": False,
    "foreach": True,
}
BOTH = ("generator", "discriminator")


def weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([3.0]))]


def step(optimizer: Optimizer) -> None:
    """Take a step with gradients equal to the weights."""
    for weight in optimizer.param_groups[0]["params"]:
        weight.grad = weight.detach().clone()
    optimizer.step()


def save_state(make: Make) -> tuple[list[nn.Parameter], dict[str, Any]]:
    """Return the weights after two steps, and the state of the optimizer."""
    parameters = weights()
    optimizer = make_optimizer(make, parameters, "o")
    step(optimizer)
    step(optimizer)
    return parameters, copy.deepcopy(optimizer.state_dict())


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (partial(Adam, lr=0.1), partial(Adam, lr=0.1, betas=(0.5, 0.6), eps=0.3, weight_decay=0.2, maximize=True)),
        (partial(Adam, lr=0.1), partial(AdamW, lr=0.1, weight_decay=0.2)),
        (partial(Adam, lr=0.1, fused=True), partial(Adam, lr=0.1, fused=False)),
        (partial(Adam, lr=0.1, fused=False), partial(Adam, lr=0.1, fused=True)),
        (partial(SGD, lr=0.1, momentum=0.5), partial(SGD, lr=0.1, momentum=0.9, nesterov=True)),
        (partial(RMSprop, lr=0.1), partial(RMSprop, lr=0.1, alpha=0.5)),
    ],
)
def test_loaded_state_is_used_with_the_current_settings(before: Make, now: Make) -> None:
    parameters, saved = save_state(before)
    optimizer = make_optimizer(now, parameters, "o")
    optimizer.load_state_dict(copy.deepcopy(saved))
    (group,) = optimizer.param_groups
    assert {name: group[name] for name in optimizer.defaults} == optimizer.defaults

    expected = [nn.Parameter(weight.detach().clone()) for weight in parameters]
    plain = now(expected)
    plain.load_state_dict(saved)
    plain.param_groups[0].update(plain.defaults)
    step(optimizer)
    step(plain)
    for one, other in zip(parameters, expected, strict=True):
        assert torch.equal(one, other)


def test_the_loaded_learning_rate_is_kept_for_the_schedule_to_set() -> None:
    parameters, saved = save_state(partial(Adam, lr=0.1))
    saved["param_groups"][0]["lr"] = 0.025  # the schedule had decayed it
    optimizer = make_optimizer(partial(Adam, lr=0.2), parameters, "o")
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.025
    assert optimizer.defaults["lr"] == 0.2


def test_settings_missing_from_an_older_state_are_as_configured() -> None:
    parameters, saved = save_state(partial(Adam, lr=0.1))
    del saved["param_groups"][0]["decoupled_weight_decay"]
    optimizer = make_optimizer(partial(AdamW, lr=0.1), parameters, "o")
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


def test_an_empty_state_fits_any_optimizer() -> None:
    saved = make_optimizer(partial(Adam, lr=0.1), weights(), "o").state_dict()
    make_optimizer(partial(RMSprop, lr=0.1), weights(), "o").load_state_dict(saved)


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (
            partial(Adam),
            partial(SGD, lr=1),
            r"stores exp_avg, exp_avg_sq, step for each weight, this run's nothing",
        ),
        (partial(Adam), partial(RMSprop), r"this run's square_avg, step: resume with the same optimizer"),
        (partial(Adam), partial(Adam, amsgrad=True), r"this run's .*max_exp_avg_sq"),
        (partial(SGD, lr=1, momentum=0.5), partial(Adam), r"stores momentum_buffer for each weight"),
    ],
)
def test_the_state_of_another_optimizer_is_an_error(before: Make, now: Make, message: str) -> None:
    parameters, saved = save_state(before)
    with pytest.raises(UserError, match=message):
        make_optimizer(now, parameters, "o").load_state_dict(saved)


def test_the_state_of_other_parameters_is_an_error() -> None:
    parameters, saved = save_state(Adam)
    with pytest.raises(UserError, match=r"o optimizer trains 2 tensors of weights, this run's 1: .*encoder_learns"):
        make_optimizer(Adam, parameters[:1], "o").load_state_dict(saved)


def optimizer_overrides(name: str, settings: dict[str, Any]) -> list[str]:
    return [f"++model.optimizers.{name}.{key}={str(value).lower()}" for key, value in settings.items()]


def saved_settings(run: Path) -> list[dict[str, Any]]:
    states = read_checkpoint(run / "checkpoints/last.ckpt")["optimizer_states"]
    return [{name: value for name, value in state["param_groups"][0].items() if name != "params"} for state in states]


@pytest.mark.parametrize("name", BOTH)
def test_every_setting_of_an_optimizer_takes_effect_on_resume(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It is reported, recorded and used. The other optimizer keeps its settings."""
    train(tiny("growth.images=[48,16]", "lr_schedule.start=1"))
    unchanged = saved_settings(tmp_path / "run")
    capsys.readouterr()
    train(tiny("resume=true", "growth.images=[48,48]", "lr_schedule.start=1", *optimizer_overrides(name, CHANGED)))
    reported = capsys.readouterr().err
    index = BOTH.index(name)
    used = saved_settings(tmp_path / "run")
    metadata = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")[CHECKPOINT_KEY]
    recorded = from_yaml(metadata["config"])["model"]["optimizers"][name]
    for key, value in CHANGED.items():
        assert f"resuming with model.optimizers.{name}.{key}={value}, trained so far with" in reported
        found = used[index][key]
        assert recorded[key] == (list(found) if isinstance(found, tuple) else found) == value
    assert used[1 - index] == unchanged[1 - index]


def test_a_setting_of_an_optimizer_changes_the_result(tiny: Tiny, tmp_path: Path) -> None:
    """The result equals that of a checkpoint with the setting written into its optimizer state."""
    first = tiny(f"paths.run={tmp_path}/first", "growth.images=[48,16]", "lr_schedule.start=1")
    train(first)
    checkpoint = tmp_path / "first/checkpoints/last.ckpt"
    more = [f"ckpt_path={checkpoint}", "growth.images=[48,48]", "lr_schedule.start=1"]
    (tmp_path / "resumed").mkdir()
    train(tiny(f"paths.run={tmp_path}/resumed", *more, *optimizer_overrides(BOTH[0], {"weight_decay": 0.5})))
    content = read_checkpoint(checkpoint)
    content["optimizer_states"][0]["param_groups"][0]["weight_decay"] = 0.5
    torch.save(content, checkpoint)
    (tmp_path / "edited").mkdir()
    train(tiny(f"paths.run={tmp_path}/edited", *more, *optimizer_overrides(BOTH[0], {"weight_decay": 0.5})))
    (tmp_path / "plain").mkdir()
    train(tiny(f"paths.run={tmp_path}/plain", *more))
    ends = [read_checkpoint(tmp_path / run / "checkpoints/last.ckpt") for run in ("resumed", "edited", "plain")]
    assert_equal(ends[0]["state_dict"], ends[1]["state_dict"])
    edited, plain = (end["state_dict"] for end in ends[1:])
    assert any(not torch.equal(edited[name], plain[name]) for name in plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["model.optimizers.generator._target_=torch.optim.RMSprop", "~model.optimizers.generator.betas",
          "~model.optimizers.generator.fused"], r"generator optimizer stores .*, this run's square_avg, step"),
        (["++model.optimizers.discriminator.amsgrad=true"], r"discriminator optimizer stores .*, this run's .*max_exp"),
        (["model.encoder_learns_from=generator"], r"the same model settings, such as encoder_learns"),
    ],
)  # fmt: skip
def test_resuming_with_another_optimizer_is_an_error(
    tiny: Tiny, tmp_path: Path, change: list[str], message: str
) -> None:
    train(tiny("growth.images=[16,16]"))
    recorded = [tmp_path / "run/checkpoints/last.ckpt", tmp_path / "run/config.yaml"]
    before = [file.read_bytes() for file in recorded]
    with pytest.raises(UserError, match=message):
        train(tiny("resume=true", "growth.images=[16,32]", *change))
    assert [file.read_bytes() for file in recorded] == before


def test_the_recorded_config_is_that_of_the_training(tiny: Tiny, tmp_path: Path) -> None:
    def beta() -> float:
        config = from_yaml((tmp_path / "run/config.yaml").read_text(encoding="utf-8"))
        return float(config["model"]["optimizers"]["generator"]["betas"][1])

    train(tiny("growth.images=[16,16]"))
    assert beta() == 0.99
    train(tiny("resume=true", "growth.images=[16,16]", "model.optimizers.generator.betas=[0.0,0.5]"))
    assert beta() == 0.99  # the run was finished
    train(tiny("resume=true", "growth.images=[16,32]", "model.optimizers.generator.betas=[0.0,0.5]"))
    assert beta() == 0.5


@pytest.mark.parametrize(
    ("make", "capturable"),
    [
        (partial(Adam), True),
        (partial(AdamW, fused=True), True),
        (partial(RMSprop), True),
        (partial(SGD, lr=1), False),
        (partial(SGD, lr=1, fused=True), True),
    ],
)
def test_optimizers_that_graphs_can_record(make: Make, capturable: bool) -> None:
    optimizers = Optimizers(make, Adam, LinearDecay())
    assert optimizers.capturable == capturable
    for optimizer in optimizers.make(weights(), weights(), recorded=True):
        assert optimizer.defaults.get("capturable", True)
    assert not any(optimizer.defaults.get("capturable") for optimizer in optimizers.make(weights(), weights()))


def test_learning_rates_of_recorded_steps_keep_their_place_and_are_stored_as_numbers() -> None:
    optimizers = Optimizers(partial(Adam, lr=0.5, fused=True), partial(Adam, lr=0.25, fused=True), LinearDecay(0.0))
    made = optimizers.make(weights(), weights())
    rates_to_tensors(made, torch.device("cpu"))
    places = [optimizer.param_groups[0]["lr"] for optimizer in made]
    optimizers.set_learning_rates(made, ScheduleState(0, 4, 1.0, 1, progress=0.75, images_seen=3))
    assert [float(place) for place in places] == [0.125, 0.0625]
    for optimizer, place in zip(made, places, strict=True):
        step(optimizer)
        assert optimizer.param_groups[0]["lr"] is place
        (group,) = optimizer.state_dict()["param_groups"]
        assert group["lr"] == float(place) and isinstance(group["lr"], float)

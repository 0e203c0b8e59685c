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

from t2f.training.optimizers import make_optimizer
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError
from t2f.utils.instantiate import from_yaml
from train import train

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
    """By gradients that are the weights themselves."""
    for weight in optimizer.param_groups[0]["params"]:
        weight.grad = weight.detach().clone()
    optimizer.step()


def saved_by(make: Make) -> tuple[list[nn.Parameter], dict[str, Any]]:
    """Weights after two steps, and what the optimizer keeps."""
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
def test_loaded_state_is_gone_on_with_by_the_settings_of_now(before: Make, now: Make) -> None:
    parameters, saved = saved_by(before)
    optimizer = make_optimizer(now, parameters, "o")
    optimizer.load_state_dict(copy.deepcopy(saved))
    (group,) = optimizer.param_groups
    assert {name: group[name] for name in optimizer.defaults} == optimizer.defaults

    by_hand = [nn.Parameter(weight.detach().clone()) for weight in parameters]
    plain = now(by_hand)
    plain.load_state_dict(saved)
    plain.param_groups[0].update(plain.defaults)
    step(optimizer)
    step(plain)
    for one, other in zip(parameters, by_hand, strict=True):
        assert torch.equal(one, other)


def test_the_learning_rate_is_left_to_the_schedule() -> None:
    parameters, saved = saved_by(partial(Adam, lr=0.1))
    saved["param_groups"][0]["lr"] = 0.025  # as it was when the checkpoint was written
    optimizer = make_optimizer(partial(Adam, lr=0.2), parameters, "o")
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 0.025
    assert optimizer.defaults["lr"] == 0.2


def test_what_an_older_pytorch_did_not_write_is_as_configured() -> None:
    parameters, saved = saved_by(partial(Adam, lr=0.1))
    del saved["param_groups"][0]["decoupled_weight_decay"]
    optimizer = make_optimizer(partial(AdamW, lr=0.1), parameters, "o")
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


def test_an_optimizer_that_has_made_no_step_is_taken_over_by_any() -> None:
    saved = make_optimizer(partial(Adam, lr=0.1), weights(), "o").state_dict()
    make_optimizer(partial(RMSprop, lr=0.1), weights(), "o").load_state_dict(saved)


@pytest.mark.parametrize(
    ("before", "now", "sentence"),
    [
        (
            partial(Adam),
            partial(SGD, lr=1),
            r"keeps exp_avg, exp_avg_sq, step of each weight, this run's nothing",
        ),
        (partial(Adam), partial(RMSprop), r"this run's square_avg, step: resume with the kind of optimizer"),
        (partial(Adam), partial(Adam, amsgrad=True), r"this run's .*max_exp_avg_sq"),
        (partial(SGD, lr=1, momentum=0.5), partial(Adam), r"keeps momentum_buffer of each weight"),
    ],
)
def test_the_state_of_another_kind_is_refused(before: Make, now: Make, sentence: str) -> None:
    parameters, saved = saved_by(before)
    with pytest.raises(UserError, match=sentence):
        make_optimizer(now, parameters, "o").load_state_dict(saved)


def test_the_state_of_other_weights_is_refused() -> None:
    parameters, saved = saved_by(Adam)
    with pytest.raises(UserError, match=r"o optimizer trains 2 tensors of weights, this run's 1: .*encoder_learns"):
        make_optimizer(Adam, parameters[:1], "o").load_state_dict(saved)


def overrides(name: str, settings: dict[str, Any]) -> list[str]:
    return [f"++model.optimizers.{name}.{key}={str(value).lower()}" for key, value in settings.items()]


def groups(run: Path) -> list[dict[str, Any]]:
    states = read_checkpoint(run / "checkpoints/last.ckpt")["optimizer_states"]
    return [{name: value for name, value in state["param_groups"][0].items() if name != "params"} for state in states]


@pytest.mark.parametrize("name", BOTH)
def test_every_setting_of_an_optimizer_takes_effect_on_resume(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It is announced, recorded and used; the other optimizer keeps its own."""
    train(tiny("growth.images=[48,16]", "lr_schedule.start=1"))
    unchanged = groups(tmp_path / "run")
    capsys.readouterr()
    train(tiny("resume=true", "growth.images=[48,48]", "lr_schedule.start=1", *overrides(name, CHANGED)))
    announced = capsys.readouterr().err
    place = BOTH.index(name)
    used = groups(tmp_path / "run")
    card = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")[CHECKPOINT_KEY]
    recorded = from_yaml(card["config"])["model"]["optimizers"][name]
    for key, value in CHANGED.items():
        assert f"resuming with model.optimizers.{name}.{key}={value}, trained so far with" in announced
        found = used[place][key]
        assert recorded[key] == (list(found) if isinstance(found, tuple) else found) == value
    assert used[1 - place] == unchanged[1 - place]


def test_a_setting_of_an_optimizer_changes_what_is_learnt(tiny: Tiny, tmp_path: Path) -> None:
    """To the bit as if the optimizer of the checkpoint had been told itself."""
    first = tiny(f"paths.run={tmp_path}/first", "growth.images=[48,16]", "lr_schedule.start=1")
    train(first)
    checkpoint = tmp_path / "first/checkpoints/last.ckpt"
    more = [f"ckpt_path={checkpoint}", "growth.images=[48,48]", "lr_schedule.start=1"]
    (tmp_path / "resumed").mkdir()
    train(tiny(f"paths.run={tmp_path}/resumed", *more, *overrides(BOTH[0], {"weight_decay": 0.5})))
    content = read_checkpoint(checkpoint)
    content["optimizer_states"][0]["param_groups"][0]["weight_decay"] = 0.5
    torch.save(content, checkpoint)
    (tmp_path / "told").mkdir()
    train(tiny(f"paths.run={tmp_path}/told", *more, *overrides(BOTH[0], {"weight_decay": 0.5})))
    (tmp_path / "plain").mkdir()
    train(tiny(f"paths.run={tmp_path}/plain", *more))
    ends = [read_checkpoint(tmp_path / run / "checkpoints/last.ckpt") for run in ("resumed", "told", "plain")]
    assert_equal(ends[0]["state_dict"], ends[1]["state_dict"])
    told, plain = (end["state_dict"] for end in ends[1:])
    assert any(not torch.equal(told[name], plain[name]) for name in plain)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["model.optimizers.generator._target_=torch.optim.RMSprop", "~model.optimizers.generator.betas",
          "~model.optimizers.generator.fused"], r"generator optimizer keeps .*, this run's square_avg, step"),
        (["++model.optimizers.discriminator.amsgrad=true"], r"discriminator optimizer keeps .*, this run's .*max_exp"),
        (["model.encoder_learns_from=generator"], r"the model settings it had, such as encoder_learns"),
    ],
)  # fmt: skip
def test_what_cannot_take_over_the_state_is_refused(
    tiny: Tiny, tmp_path: Path, change: list[str], sentence: str
) -> None:
    train(tiny("growth.images=[16,16]"))
    recorded = [tmp_path / "run/checkpoints/last.ckpt", tmp_path / "run/config.yaml"]
    before = [file.read_bytes() for file in recorded]
    with pytest.raises(UserError, match=sentence):
        train(tiny("resume=true", "growth.images=[16,32]", *change))
    assert [file.read_bytes() for file in recorded] == before


def test_the_config_that_is_recorded_is_what_the_run_was_trained_with(tiny: Tiny, tmp_path: Path) -> None:
    def beta() -> float:
        config = from_yaml((tmp_path / "run/config.yaml").read_text(encoding="utf-8"))
        return float(config["model"]["generator_optimizer"]["betas"][1])

    train(tiny("growth.images=[16,16]"))
    assert beta() == 0.99
    train(tiny("resume=true", "growth.images=[16,16]", "model.generator_optimizer.betas=[0.0,0.5]"))
    assert beta() == 0.99  # it was finished
    train(tiny("resume=true", "growth.images=[16,32]", "model.generator_optimizer.betas=[0.0,0.5]"))
    assert beta() == 0.5

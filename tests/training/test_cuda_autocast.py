"""Training steps in bf16 under CUDA's autocast rules: each network, loss and penalty, with and without fade-in.

They run on CPUs, which emulate the rules, and on a GPU if there is one.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from conftest import ROOT
from fixtures.networks import dcgan, loss_of, multiscale, progressive, token_batch
from fixtures.tiny_gans import BATCH_SIZE, STATE, TEXT_DIM, fit, make_batch
from torch import Tensor

from t2f.text.lstm import LSTMEncoder
from t2f.training.batches.batch import Batch
from t2f.training.conditional_gan import ConditionalGAN

LOSSES = sorted(path.stem for path in (ROOT / "conf/loss").glob("*.yaml"))
Make = Callable[..., ConditionalGAN]


def train_step(make: Make, alpha: float, batch: Batch, precision: str, accelerator: str) -> tuple[Tensor, set[str]]:
    """Return the metrics of a step, and the names of the networks that it changes."""
    model = make()
    model.schedule_state = replace(STATE, alpha=alpha)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    report = fit(model, batch, precision=precision, accelerator=accelerator)
    after = {name: weight.detach().cpu() for name, weight in model.named_parameters()}
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in after.values())
    averages = [
        value for name, value in sorted(report.items()) if not name.startswith("accuracy")
    ]  # a single image changes it much
    return torch.tensor(averages), {
        name.split(".")[0] for name, weight in after.items() if not torch.equal(weight, before[name])
    }


def assert_close_to_float32(make: Make, alpha: float, accelerator: str, batch: Batch | None = None) -> None:
    (expected, expected_changed), (found, changed) = (
        train_step(make, alpha, batch or make_batch(), precision, accelerator)
        for precision in ("32-true", "bf16-mixed")
    )
    torch.testing.assert_close(found, expected, rtol=0.15, atol=0.05)
    assert changed == expected_changed == {"networks", "ema", "discriminator"}


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("make", [progressive, multiscale, dcgan], ids=["progressive", "multiscale", "dcgan"])
def test_every_network_trains_with_every_loss(make: Make, loss: str, alpha: float, accelerator: str) -> None:
    assert_close_to_float32(partial(make, **loss_of(loss)), alpha, accelerator)


OPTIONS: dict[str, dict[str, Any]] = {
    "projection_only": {"unconditional": False},
    "neither_projection_nor_unconditional": {"project": False, "unconditional": False},
    "unconditional_without_projection": {"project": False},
    "no_conditioning_augmentation": {"augmented": False},
    "no_mismatched_text": {"weights": {"mismatched": 0.0}},
    "color": {"policy": ["color"]},
    "diffaugment": {"policy": ["color", "translation", "cutout"]},
}


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("loss", ["relativistic", "wgan_gp"])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("make", [progressive, multiscale], ids=["progressive", "multiscale"])
def test_every_option_trains(make: Make, option: str, loss: str, alpha: float, accelerator: str) -> None:
    assert_close_to_float32(partial(make, **OPTIONS[option], **loss_of(loss)), alpha, accelerator)


@pytest.mark.parametrize("learns_from", ["generator", "discriminator"])
@pytest.mark.parametrize("make", [progressive, multiscale, dcgan], ids=["progressive", "multiscale", "dcgan"])
def test_the_text_encoder_trains(make: Make, learns_from: str, accelerator: str) -> None:
    def with_encoder() -> ConditionalGAN:
        torch.manual_seed(0)
        encoder = LSTMEncoder(9, 4, TEXT_DIM, 2)
        return make(encoder=encoder, encoder_learns_from=learns_from, **loss_of("wgan_gp"))

    assert_close_to_float32(with_encoder, 0.5, accelerator, token_batch())


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("make", [progressive, multiscale, dcgan], ids=["progressive", "multiscale", "dcgan"])
def test_sample_and_score_equal_float32_up_to_rounding(make: Make, alpha: float, accelerator: str) -> None:
    device = torch.device("cpu" if accelerator == "cpu" else "cuda")
    model, batch = make().to(device), make_batch()
    model.schedule_state = replace(STATE, alpha=alpha)
    conditions, images = batch["conditions"].to(device), batch["images"].to(device)
    noise = torch.randn(BATCH_SIZE, model.noise_dim, generator=torch.Generator().manual_seed(0)).to(device)
    exact = model.sample(conditions, noise), model.score(conditions, images)
    with torch.autocast(device.type, torch.bfloat16):
        found = model.sample(conditions, noise), model.score(conditions, images)
    torch.testing.assert_close(found, exact, rtol=0.15, atol=0.1)

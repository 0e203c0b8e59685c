"""Training steps in bf16 under CUDA's autocast rules: each network, loss and penalty, with and without fade-in.

They run on CPUs, which emulate the rules, and on a GPU if there is one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from conftest import ROOT
from fixtures.tiny_gans import (
    BATCH_SIZE,
    CONDITION_DIM,
    LATENT_DIM,
    NUM_ATTRIBUTES,
    STATE,
    TEXT_DIM,
    fit,
    make_batch,
    make_gan,
)
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from t2f.conditioning.augmentation import ConditioningAugmentation
from t2f.conditioning.conditional_generator import ConditionalGenerator
from t2f.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from t2f.networks.diffaugment import DiffAugment
from t2f.networks.multiscale import MultiScaleDiscriminator, MultiScaleGenerator
from t2f.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from t2f.text.lstm import LSTMEncoder
from t2f.training.batches.batch import Batch
from t2f.training.conditional_gan import ConditionalGAN

CHANNELS = (8, 6)
LOSSES = sorted(path.stem for path in (ROOT / "conf/loss").glob("*.yaml"))
Make = Callable[..., ConditionalGAN]


def make_conditional_gan(
    generator: type[ProgressiveGenerator],
    discriminator: type[ProgressiveDiscriminator] | type[MultiScaleDiscriminator],
    project: bool = True,
    unconditional: bool = True,
    augmented: bool = True,
    policy: Sequence[str] = (),
    encoder: nn.Module | None = None,
    **more: Any,
) -> ConditionalGAN:
    torch.manual_seed(0)
    conditioning = ConditioningAugmentation(TEXT_DIM, CONDITION_DIM) if augmented else None
    networks = ConditionalGenerator(
        encoder or nn.Identity(),
        conditioning,
        generator(CONDITION_DIM if augmented else TEXT_DIM, LATENT_DIM, CHANNELS),
    )
    classes = NUM_ATTRIBUTES if project else 0
    text_weights = {"contrastive": 1.0, "attributes": 0.1} if project else {}
    return make_gan(
        networks,
        discriminator(CHANNELS, TEXT_DIM, 3, project, unconditional, classes, DiffAugment(policy)),
        rates=(0.01, 0.01),
        weights=text_weights | more.pop("weights", {}),
        **more,
    )


def dcgan(encoder: nn.Module | None = None, policy: Sequence[str] = (), **more: Any) -> ConditionalGAN:
    torch.manual_seed(0)
    generator = DCGANGenerator(TEXT_DIM, 4, width=8, resolution=8)
    discriminator = DCGANDiscriminator(TEXT_DIM, width=8, resolution=8, augment=DiffAugment(policy))
    networks = ConditionalGenerator(encoder or nn.Identity(), None, generator)
    return make_gan(networks, discriminator, rates=(0.01, 0.01), **more)


progressive = partial(make_conditional_gan, ProgressiveGenerator, ProgressiveDiscriminator)
multiscale = partial(make_conditional_gan, MultiScaleGenerator, MultiScaleDiscriminator)


def loss_of(name: str) -> dict[str, Any]:
    """Return a loss of conf/loss and its penalties, which are due at each step."""
    config = instantiate(OmegaConf.load(ROOT / f"conf/loss/{name}.yaml"))
    penalties = {key: type(term)(term.weight) for key, term in config.penalties.items()}
    return {"loss": config.adversarial, "penalties": penalties}


def token_batch() -> Batch:
    tokens = torch.randint(1, 9, (BATCH_SIZE, 7), generator=torch.Generator().manual_seed(2))
    tokens[::2, 4:] = 0
    return {**make_batch(), "conditions": tokens}


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

"""A step in bf16 by CUDA's casting: of every network, loss and penalty, with second derivatives, fading and not.

It runs on CPUs that emulate CUDA's autocast, and on a GPU where there is one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from conftest import ROOT
from fixtures.steps import ATTRIBUTES, CONDITION, FACES, HERE, LATENT, WORDS, fit, make_batch, system_of
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


def growing_or_joint(
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
    conditioning = ConditioningAugmentation(WORDS, CONDITION) if augmented else None
    draws = generator(CONDITION if augmented else WORDS, LATENT, CHANNELS)
    networks = ConditionalGenerator(encoder or nn.Identity(), conditioning, draws)
    classes = ATTRIBUTES if project else 0
    judges = discriminator(CHANNELS, WORDS, 3, project, unconditional, classes, DiffAugment(policy))
    words = {"contrastive": 1.0, "attributes": 0.1} if project else {}
    weights = words | more.pop("weights", {})
    return system_of(networks, judges, rates=(0.01, 0.01), weights=weights, **more)


def dcgan(encoder: nn.Module | None = None, policy: Sequence[str] = (), **more: Any) -> ConditionalGAN:
    torch.manual_seed(0)
    draws = DCGANGenerator(WORDS, 4, width=8, resolution=8)
    judges = DCGANDiscriminator(WORDS, width=8, resolution=8, augment=DiffAugment(policy))
    return system_of(ConditionalGenerator(encoder or nn.Identity(), None, draws), judges, rates=(0.01, 0.01), **more)


growing = partial(growing_or_joint, ProgressiveGenerator, ProgressiveDiscriminator)
multiscale = partial(growing_or_joint, MultiScaleGenerator, MultiScaleDiscriminator)


def loss_of(name: str) -> dict[str, Any]:
    """What conf/loss has under a name, every penalty at each step."""
    config = instantiate(OmegaConf.load(ROOT / f"conf/loss/{name}.yaml"))
    penalties = {key: type(term)(term.weight) for key, term in config.penalties.items()}
    return {"loss": config.adversarial, "penalties": penalties}


def sentences() -> Batch:
    tokens = torch.randint(1, 9, (FACES, 7), generator=torch.Generator().manual_seed(2))
    tokens[::2, 4:] = 0
    return {**make_batch(), "conditions": tokens}


def take_a_step(make: Make, alpha: float, batch: Batch, precision: str, accelerator: str) -> tuple[Tensor, set[str]]:
    """What it reports, and which networks it changes."""
    system = make()
    system.schedule_state = replace(HERE, alpha=alpha)
    before = {name: weight.detach().clone() for name, weight in system.named_parameters()}
    report = fit(system, batch, precision=precision, accelerator=accelerator)
    after = {name: weight.detach().cpu() for name, weight in system.named_parameters()}
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in after.values())
    averages = [value for name, value in sorted(report.items()) if not name.startswith("accuracy")]  # one face is a lot
    return torch.tensor(averages), {
        name.split(".")[0] for name, weight in after.items() if not torch.equal(weight, before[name])
    }


def assert_as_in_float32(make: Make, alpha: float, accelerator: str, batch: Batch | None = None) -> None:
    (expected, learnt), (found, changed) = (
        take_a_step(make, alpha, batch or make_batch(), precision, accelerator)
        for precision in ("32-true", "bf16-mixed")
    )
    torch.testing.assert_close(found, expected, rtol=0.15, atol=0.05)
    assert changed == learnt == {"networks", "ema", "discriminator"}


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("make", [growing, multiscale, dcgan], ids=["growing", "multiscale", "dcgan"])
def test_every_network_learns_by_every_loss(make: Make, loss: str, alpha: float, accelerator: str) -> None:
    assert_as_in_float32(partial(make, **loss_of(loss)), alpha, accelerator)


OPTIONS: dict[str, dict[str, Any]] = {
    "projection_alone": {"unconditional": False},
    "neither_projection_nor_alone": {"project": False, "unconditional": False},
    "alone_without_projection": {"project": False},
    "no_conditioning_augmentation": {"augmented": False},
    "no_mismatched_text": {"weights": {"mismatched": 0.0}},
    "color": {"policy": ["color"]},
    "diffaugment": {"policy": ["color", "translation", "cutout"]},
}


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("loss", ["relativistic", "wgan_gp"])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("make", [growing, multiscale], ids=["growing", "multiscale"])
def test_every_option_learns(make: Make, option: str, loss: str, alpha: float, accelerator: str) -> None:
    assert_as_in_float32(partial(make, **OPTIONS[option], **loss_of(loss)), alpha, accelerator)


@pytest.mark.parametrize("learns_from", ["generator", "discriminator"])
@pytest.mark.parametrize("make", [growing, multiscale, dcgan], ids=["growing", "multiscale", "dcgan"])
def test_words_are_learnt(make: Make, learns_from: str, accelerator: str) -> None:
    def with_words() -> ConditionalGAN:
        torch.manual_seed(0)
        encoder = LSTMEncoder(9, 4, WORDS, 2)
        return make(encoder=encoder, encoder_learns_from=learns_from, **loss_of("wgan_gp"))

    assert_as_in_float32(with_words, 0.5, accelerator, sentences())


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("make", [growing, multiscale, dcgan], ids=["growing", "multiscale", "dcgan"])
def test_the_average_draws_and_the_discriminator_scores(make: Make, alpha: float, accelerator: str) -> None:
    device = torch.device("cpu" if accelerator == "cpu" else "cuda")
    system, batch = make().to(device), make_batch()
    system.schedule_state = replace(HERE, alpha=alpha)
    conditions, images = batch["conditions"].to(device), batch["images"].to(device)
    noise = torch.randn(FACES, system.noise_dim, generator=torch.Generator().manual_seed(0)).to(device)
    exact = system.sample(conditions, noise), system.score(conditions, images)
    with torch.autocast(device.type, torch.bfloat16):
        found = system.sample(conditions, noise), system.score(conditions, images)
    torch.testing.assert_close(found, exact, rtol=0.15, atol=0.1)

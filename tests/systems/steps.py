"""Small systems, batches for them, and a step's gradients by hand. Plain gradient descent makes a step a gradient."""

from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from t2f.batches.batch import Batch
from t2f.growth import Position
from t2f.losses import Logistic
from t2f.networks.conditional import ConditionalGenerator
from t2f.networks.conditioning import AsGiven, ConditioningAugmentation
from t2f.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from t2f.networks.diffaugment import DiffAugment
from t2f.networks.interfaces import Discriminator
from t2f.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from t2f.systems.acceleration import AUTO, Acceleration
from t2f.systems.base import step_seed
from t2f.systems.conditional import ConditionalGAN
from t2f.systems.learning_rate import LinearDecay

WORDS, CONDITION, LATENT, FACES, ATTRIBUTES = 5, 3, 8, 6, 2
HERE = Position(stage=0, resolution=8, alpha=1.0, batch_size=FACES, progress=0.0, images_seen=0)


def system_of(
    networks: ConditionalGenerator, discriminator: Discriminator, rates: tuple[float, float] = (1.0, 1.0), **more: Any
) -> ConditionalGAN:
    """`rates`: the generator's and the discriminator's."""
    settings: dict[str, Any] = {
        "loss": Logistic(wrong_weight=0.5),
        "penalties": [],
        "lr_schedule": LinearDecay(1.0),
        "acceleration": Acceleration(AUTO, AUTO, AUTO),
        "encoder_learns_from": "discriminator",
        "matching_aware": True,
        "kl_weight": 0.25,
        "contrastive_weight": 0.0,
        "classifier_weight": 0.0,
        "n_critic": 1,
        "ema_half_life": 0,
        "ema_ramp": 1e9,
    }
    generator_optimizer, discriminator_optimizer = (partial(torch.optim.SGD, lr=rate) for rate in rates)
    system = ConditionalGAN(
        networks=networks,
        discriminator=discriminator,
        generator_optimizer=generator_optimizer,
        discriminator_optimizer=discriminator_optimizer,
        seed=0,
        card={},
        **settings | more,
    )
    system.position = HERE
    return system


def growing(
    unconditional: bool = True, encoder: nn.Module | None = None, classes: int = ATTRIBUTES, **more: Any
) -> ConditionalGAN:
    """T2F's networks, small; conditions are embeddings."""
    torch.manual_seed(0)
    generator = ProgressiveGenerator(CONDITION, LATENT, (8, 6))
    networks = ConditionalGenerator(encoder or AsGiven(), ConditioningAugmentation(WORDS, CONDITION), generator)
    discriminator = ProgressiveDiscriminator((8, 6), WORDS, 3, True, unconditional, classes, DiffAugment([]))
    return system_of(networks, discriminator, **more)


def dcgan(**more: Any) -> ConditionalGAN:
    torch.manual_seed(0)
    generator = DCGANGenerator(WORDS, 4, width=8, resolution=8)
    discriminator = DCGANDiscriminator(WORDS, width=8, resolution=8, augment=DiffAugment([]))
    return system_of(ConditionalGenerator(AsGiven(), None, generator), discriminator, **more)


def make_batch(labelled: int = FACES) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return {
        "images": torch.randint(0, 256, (FACES, 3, 8, 8), dtype=torch.uint8, generator=generator),
        "conditions": torch.randn(FACES, WORDS, generator=generator),
        "attributes": torch.tensor([[1, 0], [0, -1], [-1, 1], [1, 1], [0, 0], [-1, -1]], dtype=torch.int8),
        "labelled": labelled,
    }


def fit(
    system: ConditionalGAN, *batches: Batch, precision: Any = "32-true", accelerator: str = "cpu"
) -> dict[str, float]:
    """Train on these batches, one step each; the averages of what was reported."""
    trainer = pl.Trainer(
        max_epochs=1,
        accelerator=accelerator,
        devices=1,
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(system, DataLoader(list(batches), batch_size=None))
    return system.read_averages()


def drawing(system: ConditionalGAN, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """What the first step of a run draws: pictures, mu and log sigma^2."""
    torch.manual_seed(step_seed(0, 0))
    noise = torch.randn(FACES, system.noise_dim)
    fake, moments = system.networks.draw(batch["conditions"], noise, 8, 1.0)
    assert moments is not None
    return fake, *moments


def gradients(loss: Tensor, module: nn.Module) -> dict[str, Tensor]:
    names, parameters = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return {name: each for name, each in zip(names, found, strict=True) if each is not None}


def assert_descended(before: nn.Module, after: nn.Module, expected: dict[str, Tensor]) -> None:
    """Each weight went down its gradient, at a rate of 1; those without one stayed."""
    then = dict(before.named_parameters())
    for name, now in after.named_parameters():
        change = then[name].detach() - now.detach()
        torch.testing.assert_close(change, expected.get(name, torch.zeros_like(change)), rtol=1e-3, atol=1e-5)

"""Small systems, batches for them, and a step's gradients by hand. Plain gradient descent makes a step a gradient."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from t2f.batches.batch import Batch
from t2f.growth import ScheduleState
from t2f.networks.conditional import ConditionalGenerator
from t2f.networks.conditioning import ConditioningAugmentation
from t2f.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from t2f.networks.diffaugment import DiffAugment
from t2f.networks.interfaces import Discriminator
from t2f.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from t2f.objectives import (
    AttributeClassification,
    Conditional,
    ConditioningKL,
    Contrastive,
    GANLoss,
    Mismatched,
    NonSaturating,
    Objective,
    Unconditional,
)
from t2f.systems.acceleration import Acceleration
from t2f.systems.base import step_seed
from t2f.systems.conditional import ConditionalGAN
from t2f.systems.ema import EMA
from t2f.systems.learning_rate import LearningRateSchedule, LinearDecay
from t2f.systems.optimizers import Optimizers

WORDS, CONDITION, LATENT, FACES, ATTRIBUTES = 5, 3, 8, 6, 2
HERE = ScheduleState(stage=0, resolution=8, alpha=1.0, batch_size=FACES, progress=0.0, images_seen=0)


def objectives_of(
    discriminator: Discriminator,
    loss: GANLoss,
    mismatched: float = 0.5,
    contrastive: float = 0.0,
    attributes: float = 0.0,
    kl: float = 0.25,
) -> dict[str, Objective]:
    """The objectives of conf/model/t2f.yaml, with these weights."""
    return {
        "conditional": Conditional(loss),
        "mismatched": Mismatched(loss, mismatched),
        "unconditional": Unconditional(loss, "unconditional_logits" in discriminator.head.outputs),
        "contrastive": Contrastive(contrastive),
        "attributes": AttributeClassification(attributes),
        "kl": ConditioningKL(kl),
    }


def system_of(
    networks: ConditionalGenerator,
    discriminator: Discriminator,
    rates: tuple[float, float] = (1.0, 1.0),
    loss: GANLoss | None = None,
    weights: Mapping[str, float] | None = None,
    penalties: Mapping[str, Objective] | None = None,
    lr_schedule: LearningRateSchedule | None = None,
    ema: EMA | None = None,
    acceleration: Acceleration | None = None,
    **more: Any,
) -> ConditionalGAN:
    """`rates`: the generator's and the discriminator's. `weights`: those of `objectives_of`."""
    generator, judge = (partial(torch.optim.SGD, lr=rate) for rate in rates)
    system = ConditionalGAN(
        networks=networks,
        discriminator=discriminator,
        objectives=objectives_of(discriminator, loss or NonSaturating(), **weights or {}),
        penalties=penalties or {},
        optimizers=Optimizers(generator, judge, lr_schedule or LinearDecay(1.0)),
        ema=ema or EMA(half_life=0, ramp=1e9),
        acceleration=acceleration or Acceleration(),
        **more,
    )
    system.position = HERE
    return system


def growing(
    unconditional: bool = True, encoder: nn.Module | None = None, classes: int = ATTRIBUTES, **more: Any
) -> ConditionalGAN:
    """T2F's networks, small; conditions are embeddings."""
    torch.manual_seed(0)
    generator = ProgressiveGenerator(CONDITION, LATENT, (8, 6))
    networks = ConditionalGenerator(encoder or nn.Identity(), ConditioningAugmentation(WORDS, CONDITION), generator)
    discriminator = ProgressiveDiscriminator((8, 6), WORDS, 3, True, unconditional, classes, DiffAugment([]))
    return system_of(networks, discriminator, **more)


def dcgan(**more: Any) -> ConditionalGAN:
    torch.manual_seed(0)
    generator = DCGANGenerator(WORDS, 4, width=8, resolution=8)
    discriminator = DCGANDiscriminator(WORDS, width=8, resolution=8, augment=DiffAugment([]))
    return system_of(ConditionalGenerator(nn.Identity(), None, generator), discriminator, **more)


def make_batch(labeled: int = FACES) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return {
        "images": torch.randint(0, 256, (FACES, 3, 8, 8), dtype=torch.uint8, generator=generator),
        "conditions": torch.randn(FACES, WORDS, generator=generator),
        "attributes": torch.tensor([[1, 0], [0, -1], [-1, 1], [1, 1], [0, 0], [-1, -1]], dtype=torch.int8),
        "labeled": torch.arange(FACES) < labeled,
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
    fake, moments = system.networks.generate(batch["conditions"], noise, 8, 1.0)
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

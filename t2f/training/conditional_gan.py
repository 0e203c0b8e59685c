"""The training step of a conditional GAN, for all networks, conditions and objectives."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer

from t2f.conditioning.conditional_generator import ConditionalGenerator
from t2f.networks.base import Discriminator, DiscriminatorOutput
from t2f.objectives.base import GANStep, Objective
from t2f.training.base import GANModule
from t2f.training.batches.batch import Batch
from t2f.training.ema import EMA
from t2f.training.optimizers import Optimizers
from t2f.training.performance import Performance
from t2f.utils.distributed import all_gather, sharded_randn
from t2f.utils.images import to_float


class ConditionalGAN(GANModule):
    """A GAN that generates images from text or attributes: T2F, faCeGAN and the multi-scale GAN, by their networks.

    Args:
        networks: Encoder, conditioning augmentation and generator.
        discriminator: The discriminator.
        objectives: The terms of the loss by name, in the order in which they are added.
        penalties: More terms of the loss, added after these.
        optimizers: Makes both optimizers.
        ema: How the average of `networks` is taken, which generates the samples.
        performance: Memory format, compilation and CUDA graphs.
        encoder_learns_from: The step that trains the encoder. T2F trained it in the generator's step. From the
            discriminator, which has to tell matching from mismatched text, it learns the meaning of words earlier.
        n_critic: Discriminator steps for each generator step, at least 1.
        seed: Seed of all random numbers of training.
        metadata: See `GANModule`.

    Raises:
        ValueError: An argument is out of range, or an objective needs what the discriminator does not compute.
    """

    def __init__(
        self,
        networks: ConditionalGenerator,
        discriminator: Discriminator,
        objectives: Mapping[str, Objective],
        penalties: Mapping[str, Objective],
        optimizers: Optimizers,
        ema: EMA,
        performance: Performance,
        encoder_learns_from: Literal["generator", "discriminator"] = "discriminator",
        n_critic: int = 1,
        seed: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        if n_critic < 1:
            raise ValueError(f"n_critic is {n_critic}: it must be at least 1.")
        if encoder_learns_from not in ("generator", "discriminator"):
            raise ValueError(f"encoder_learns_from is {encoder_learns_from}: it must be generator or discriminator.")
        super().__init__(seed, metadata or {})
        self.networks = networks
        self.discriminator = discriminator
        self.ema = copy.deepcopy(networks).requires_grad_(False).eval()
        self.objectives = {name: term for name, term in {**objectives, **penalties}.items() if term.weight}
        for name, term in self.objectives.items():
            if missing := ", ".join(sorted(term.requires - discriminator.head.outputs)):
                raise ValueError(
                    f"objectives.{name} needs {missing}, which {type(discriminator).__name__} does not compute with "
                    "its settings: set the objective's weight to 0, or change the discriminator's settings."
                )
        self.make_optimizers = optimizers
        self.averaging = ema
        self.performance = performance
        self.encoder_learns_from = encoder_learns_from
        self.n_critic = n_critic
        self.noise_dim = networks.noise_dim
        self.max_resolution = networks.generator.max_resolution
        self.grows = networks.generator.grows
        self.uses_mismatched_text = any(term.uses_mismatched_text for term in self.objectives.values())
        self.uses_unlabeled = any(term.uses_unlabeled for term in self.objectives.values())
        self.min_labeled = 2 if self.uses_mismatched_text else 1

    def configure_optimizers(self) -> list[Optimizer]:
        conditioning, encoder = self.networks.conditioning, list(self.networks.encoder.parameters())
        generator = [*(conditioning.parameters() if conditioning else []), *self.networks.generator.parameters()]
        discriminator = list(self.discriminator.parameters())
        (generator if self.encoder_learns_from == "generator" else discriminator).extend(encoder)
        return self.make_optimizers.make(generator, discriminator)

    def on_fit_start(self) -> None:
        self.performance.apply(self.networks.generator, self.ema.generator, self.discriminator, self.device)

    def train_on(self, batch: Batch, step: int) -> dict[str, Tensor]:
        self.performance.begin_step()
        generator_optimizer, discriminator_optimizer = self.both_optimizers()
        images, conditions = to_float(batch["images"]), batch["conditions"]
        state = self.schedule_state
        real = self.discriminator.to_sample(images, state.resolution, state.alpha)
        embedding = self.networks.encoder(conditions)
        for_generator = embedding if self.encoder_learns_from == "generator" else embedding.detach()
        for_discriminator = embedding.detach() if self.encoder_learns_from == "generator" else embedding
        # Both steps use the same fakes: the generator changes only after its gradient has been computed.
        noise = sharded_randn(len(real), self.noise_dim, device=self.device)
        fake, moments = self.networks.generate(for_generator, noise, state.resolution, state.alpha)

        gan_step = GANStep(
            discriminate=self.discriminate,
            real=real,
            fake=fake.detach(),
            conditions=conditions,
            text_embedding=for_discriminator,
            mismatched_text=self.mismatch(batch, for_discriminator) if self.uses_mismatched_text else None,
            labeled=batch["labeled"],
            attributes=batch["attributes"],
        )
        terms = {name: term.discriminator_loss(gan_step) for name, term in self.due(step).items()}
        self.descend(self.total("discriminator", terms, gan_step.metrics), discriminator_optimizer)

        if step % self.n_critic == 0:
            gan_step = replace(
                gan_step, fake=fake, text_embedding=for_generator, mismatched_text=None, noise=noise, moments=moments
            )
            self.discriminator.requires_grad_(False)
            terms = {name: term.generator_loss(gan_step) for name, term in self.due(step).items()}
            self.descend(self.total("generator", terms, gan_step.metrics), generator_optimizer)
            self.discriminator.requires_grad_(True)
            new_images = len(real) * self.trainer.world_size * self.n_critic
            self.averaging.update(self.ema, self.networks, new_images, self.images_seen)
        return gan_step.metrics

    def due(self, step: int) -> dict[str, Objective]:
        """Return the objectives to evaluate in this step."""
        return {name: term for name, term in self.objectives.items() if step % term.every == 0}

    def total(self, network: str, terms: Mapping[str, Tensor | None], metrics: dict[str, Tensor]) -> Tensor:
        """Add up the terms of a network's loss by their weights, and report each of them unweighted."""
        total = torch.zeros((), device=self.device)
        for name, value in terms.items():
            if value is not None:
                metrics[f"{network}/{name}"] = value
                total = total + self.objectives[name].weight * self.objectives[name].every * value
        metrics[f"loss/{network}"] = total
        return total

    def descend(self, loss: Tensor, optimizer: LightningOptimizer | Optimizer) -> None:
        """Take one step of the optimizer. Each gradient is computed in the precision of its forward pass."""
        optimizer.zero_grad()
        with torch.autocast(self.device.type, enabled=False):  # else second derivatives would be cast again
            self.manual_backward(loss)
        optimizer.step()

    def discriminate(self, sample: Tensor, text_embedding: Tensor) -> DiscriminatorOutput:
        output: DiscriminatorOutput = self.discriminator(
            sample, text_embedding, self.schedule_state.resolution, self.schedule_state.alpha
        )
        return output

    def mismatch(self, batch: Batch, embedding: Tensor) -> Tensor:
        """Return embeddings (B, E) of texts that do not describe the labeled samples, from the global batch."""
        if self.trainer.world_size == 1:
            return embedding[nearest_different(batch["conditions"], batch["labeled"])]
        conditions = all_gather(batch["conditions"])
        mismatched = conditions[nearest_different(conditions, all_gather(batch["labeled"]))]
        with torch.set_grad_enabled(embedding.requires_grad):
            return cast(Tensor, self.networks.encoder(mismatched[self.global_rank :: self.trainer.world_size]))

    @torch.no_grad()
    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        images: Tensor = self.ema(conditions, noise, self.schedule_state.resolution, self.schedule_state.alpha)
        return images

    @torch.no_grad()
    def score(self, conditions: Tensor, images: Tensor) -> Tensor:
        self.discriminator.eval()  # else batch norm would update its statistics
        state = self.schedule_state
        sample = self.discriminator.to_sample(to_float(images), state.resolution, state.alpha)
        scores = self.discriminate(sample, self.networks.encoder(conditions)).conditional_logits
        self.discriminator.train()
        return scores


def nearest_different(conditions: Tensor, labeled: Tensor) -> Tensor:
    """For each row, find the nearest labeled row before it, cyclically, whose condition differs.

    With few labels, neighbors often have the same ones, which would be no mismatch. If all are the same, it is the
    nearest labeled row.

    Args:
        conditions: (B, ...).
        labeled: bool (B,).

    Returns:
        int64 (B,), row numbers.
    """
    rows = conditions.flatten(1)
    index = torch.arange(len(rows), device=rows.device)
    candidates = (index[:, None] - index - 1) % len(rows)
    differs = (rows[:, None] != rows[candidates]).any(dim=2)
    rank = labeled[candidates].int() * (1 + differs.int())
    first = rank.argmax(dim=1, keepdim=True)
    return candidates.gather(1, first).squeeze(1)

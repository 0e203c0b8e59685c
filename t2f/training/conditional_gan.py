"""The training step of a conditional GAN, for all networks, conditions and objectives."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
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
from t2f.training.step_plan import StepPlan
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
        performance: Memory format, TF32 and CUDA graphs.
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
        if discriminator.max_resolution != networks.generator.max_resolution:
            raise ValueError(
                f"discriminator takes images of {discriminator.max_resolution} pixels, but the generator's have "
                f"{networks.generator.max_resolution}: give channels of equal length, or equal resolutions."
            )
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
        return self.make_optimizers.make(generator, discriminator, recorded=self.records_steps())

    def on_fit_start(self) -> None:
        self.performance.apply(self.networks.generator, self.ema.generator, self.discriminator, self.device)

    def on_fit_end(self) -> None:
        self.performance.reset(self.device)

    def records_steps(self) -> bool:
        world_size, precision = self.trainer.world_size, str(self.trainer.precision)
        return self.performance.uses_graphs(self.device, world_size, precision, self.make_optimizers.capturable)

    def speed_settings(self) -> list[str]:
        tf32 = self.performance.tf32 and self.device.type == "cuda"
        return [*(["TF32"] if tf32 else []), *(["CUDA graphs"] if self.records_steps() else [])]

    def plan(self, step: int) -> StepPlan:
        state = self.schedule_state
        return StepPlan(
            resolution=state.resolution,
            alpha=state.alpha,
            due=frozenset(name for name, term in self.objectives.items() if step % term.every == 0),
            trains_generator=step % self.n_critic == 0,
            ema_weight=self.averaging.weight(state.batch_size * self.n_critic, self.images_seen),
        )

    def train_on(self, batch: Batch, plan: StepPlan) -> dict[str, Tensor]:
        generator_optimizer, discriminator_optimizer = self.both_optimizers()
        images, conditions = to_float(batch["images"]), batch["conditions"]
        real = self.discriminator.to_sample(images, plan.resolution, plan.alpha)
        embedding = self.networks.encoder(conditions)
        for_generator = embedding if self.encoder_learns_from == "generator" else embedding.detach()
        for_discriminator = embedding.detach() if self.encoder_learns_from == "generator" else embedding
        # Both steps use the same fakes: the generator changes only after its gradient has been computed.
        noise = sharded_randn(len(real), self.noise_dim, device=self.device)
        fake, moments = self.networks.generate(for_generator, noise, plan.resolution, plan.alpha)

        gan_step = GANStep(
            discriminate=partial(self.discriminator, resolution=plan.resolution, alpha=plan.alpha),
            real=real,
            fake=fake.detach(),
            conditions=conditions,
            text_embedding=for_discriminator,
            mismatched_text=self.mismatch(batch, for_discriminator) if self.uses_mismatched_text else None,
            labeled=batch["labeled"],
            attributes=batch["attributes"],
        )
        due = {name: term for name, term in self.objectives.items() if name in plan.due}
        terms = {name: term.discriminator_loss(gan_step) for name, term in due.items()}
        self.descend(self.total("discriminator", terms, gan_step.metrics), discriminator_optimizer)

        if plan.trains_generator:
            gan_step = replace(
                gan_step, fake=fake, text_embedding=for_generator, mismatched_text=None, noise=noise, moments=moments
            )
            self.discriminator.requires_grad_(False)
            terms = {name: term.generator_loss(gan_step) for name, term in due.items()}
            self.descend(self.total("generator", terms, gan_step.metrics), generator_optimizer)
            self.discriminator.requires_grad_(True)
            self.averaging.update(self.ema, self.networks, plan.ema_weight)
        return gan_step.metrics

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
        output: DiscriminatorOutput = self.discriminator(
            sample, self.networks.encoder(conditions), state.resolution, state.alpha
        )
        scores = output.conditional_logits
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

"""T2F: words to faces with a growing GAN."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from t2f.data.faces import Batch
from t2f.errors import UserError, require
from t2f.losses import AdversarialLoss, GradientPenalty
from t2f.networks.conditioning import kl_to_standard_normal
from t2f.networks.progressive import Discriminator, faded_reals
from t2f.networks.text_to_face import TextToFace
from t2f.pictures import to_float
from t2f.systems.base import GANSystem, update_average


class T2F(GANSystem):
    """The text-to-face GAN.

    `encoder_learns_from` names the step that trains the text encoder. The original's learnt through the
    generator; through the matching-aware discriminator, which must tell right words from wrong ones, it
    learns what words mean sooner.

    `ema_half_life` is in images; early on it is at most `ema_ramp` of the images seen.
    """

    def __init__(
        self,
        networks: TextToFace,
        discriminator: Discriminator,
        loss: AdversarialLoss,
        penalties: Sequence[GradientPenalty],
        generator_optimizer: Callable[..., Optimizer],
        discriminator_optimizer: Callable[..., Optimizer],
        encoder_learns_from: Literal["generator", "discriminator"],
        matching_aware: bool,
        kl_weight: float,
        n_critic: int,
        ema_half_life: float,
        ema_ramp: float,
        lr_decay_start: float,
        seed: int,
        card: dict[str, Any],
    ) -> None:
        super().__init__(seed, card, lr_decay_start)
        self.networks = networks
        self.discriminator = discriminator
        self.ema = copy.deepcopy(networks).requires_grad_(False).eval()
        self.adversarial_loss = loss
        self.penalties = penalties
        self.noise_dim = networks.noise_dim
        self.max_resolution = networks.generator.max_resolution
        require(
            networks.conditioning.dim < networks.noise_dim,
            f"The latent has {networks.noise_dim} numbers, which leaves no noise beside a condition of "
            f"{networks.conditioning.dim}: raise model.networks.generator.latent_dim.",
        )
        require(n_critic >= 1, f"model.n_critic is {n_critic}: it must be at least 1.")
        require(ema_half_life > 0, f"model.ema_half_life is {ema_half_life}: it must be above 0.")
        require(ema_ramp > 0, f"model.ema_ramp is {ema_ramp}: it must be above 0.")
        require(
            encoder_learns_from in ("generator", "discriminator"),
            f"model.encoder_learns_from is {encoder_learns_from}: it must be generator or discriminator.",
        )
        self.make_generator_optimizer = generator_optimizer
        self.make_discriminator_optimizer = discriminator_optimizer
        self.encoder_learns_from = encoder_learns_from
        self.matching_aware = matching_aware
        self.kl_weight = kl_weight
        self.n_critic = n_critic
        self.ema_half_life = ema_half_life
        self.ema_ramp = ema_ramp

    def configure_optimizers(self) -> list[Optimizer]:
        drawing = [*self.networks.conditioning.parameters(), *self.networks.generator.parameters()]
        judging = list(self.discriminator.parameters())
        words = list(self.networks.encoder.parameters())
        (drawing if self.encoder_learns_from == "generator" else judging).extend(words)
        try:
            return [self.make_generator_optimizer(drawing), self.make_discriminator_optimizer(judging)]
        except (TypeError, ValueError) as error:
            raise UserError(f"An optimiser cannot be made: {error}; see model.generator_optimizer.") from error

    def train_on(self, batch: Batch, step: int) -> dict[str, Tensor]:
        resolution, alpha = self.position.resolution, self.position.alpha
        require(
            len(batch["images"]) > 1 or not self.matching_aware,
            "A batch of 1 image a process has no other's words to tell from: raise growth.batch_sizes.",
        )
        real = faded_reals(to_float(batch["images"]), resolution, alpha)
        embedding = self.networks.encoder(batch["tokens"])
        if self.encoder_learns_from == "generator":
            for_drawing, for_judging = embedding, embedding.detach()
        else:
            for_drawing, for_judging = embedding.detach(), embedding
        # Both steps use this one drawing: the generator changes only after its gradient has been taken.
        noise = torch.randn(len(real), self.networks.noise_dim, device=self.device)
        fake, mean, log_variance = self.networks.draw(for_drawing, noise, resolution, alpha)

        report = self.discriminator_step(real, fake.detach(), for_judging, step)
        if step % self.n_critic == 0:
            report |= self.generator_step(real, fake, mean, log_variance, for_drawing)
            self.update_ema(len(real) * self.trainer.world_size * self.n_critic)
        return report

    def discriminator_step(self, real: Tensor, fake: Tensor, embedding: Tensor, step: int) -> dict[str, Tensor]:
        """Teach the discriminator real with right words from fake, and from real with wrong words."""
        optimizer = self.both_optimizers()[1]
        resolution, alpha = self.position.resolution, self.position.alpha
        seen = self.discriminator.see(real, resolution, alpha)
        real_score = self.discriminator.judge(seen, embedding)
        fake_score = self.discriminator(fake, embedding, resolution, alpha)
        wrong_score = self.discriminator.judge(seen, embedding.roll(1, dims=0)) if self.matching_aware else None
        loss = self.adversarial_loss.discriminator(real_score, fake_score, wrong_score)
        report = {"loss/discriminator": loss, "score/real": real_score.mean(), "score/fake": fake_score.mean()}
        if wrong_score is not None:
            report["score/wrong_words"] = wrong_score.mean()

        words = embedding.detach()
        for penalty in self.penalties:
            if step % penalty.every == 0:
                # Squared gradients underflow in half precision.
                with torch.autocast(self.device.type, enabled=False):
                    value = penalty(lambda x: self.discriminator(x, words, resolution, alpha), real, fake)
                loss = loss + value
                report[f"penalty/{type(penalty).__name__}"] = value / penalty.every
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return report

    def generator_step(
        self, real: Tensor, fake: Tensor, mean: Tensor, log_variance: Tensor, embedding: Tensor
    ) -> dict[str, Tensor]:
        """Teach the generator, and what else learns with it, to be taken for real with these words."""
        optimizer = self.both_optimizers()[0]
        resolution, alpha = self.position.resolution, self.position.alpha
        self.discriminator.requires_grad_(False)
        fake_score = self.discriminator(fake, embedding, resolution, alpha)
        real_score = None
        if self.adversarial_loss.needs_real_in_generator_step:
            real_score = self.discriminator(real, embedding, resolution, alpha)
        adversarial = self.adversarial_loss.generator(fake_score, real_score)
        kl = kl_to_standard_normal(mean, log_variance)
        optimizer.zero_grad()
        self.manual_backward(adversarial + self.kl_weight * kl)
        optimizer.step()
        self.discriminator.requires_grad_(True)
        return {"loss/generator": adversarial, "loss/kl": kl}

    def update_ema(self, images: int) -> None:
        """Let the averaged networks follow: what is `half_life` images old counts half."""
        half_life = min(self.ema_half_life, self.ema_ramp * max(self.images_seen, 1))
        update_average(self.ema, self.networks, beta=0.5 ** (images / half_life))

    @torch.no_grad()
    def sample(self, tokens: Tensor, noise: Tensor) -> Tensor:
        images: Tensor = self.ema(tokens, noise, self.position.resolution, self.position.alpha)
        return images

"""The alternating steps of a conditional GAN, whatever its networks, conditions and losses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer

from t2f.batches.batch import Batch
from t2f.errors import require
from t2f.losses import AdversarialLoss, GradientPenalty
from t2f.losses.classification import classification_loss
from t2f.losses.contrastive import contrastive_loss, same_rows
from t2f.networks.conditional import ConditionalGenerator
from t2f.networks.conditioning import kl_to_standard_normal
from t2f.networks.interfaces import Discriminator
from t2f.networks.sharing import drawn, gathered
from t2f.pictures import to_float
from t2f.systems.acceleration import Acceleration
from t2f.systems.base import GANSystem, update_average
from t2f.systems.learning_rate import LearningRateSchedule
from t2f.systems.optimizers import make_optimizer


class ConditionalGAN(GANSystem):
    """Faces from words or attributes: T2F, faCeGAN and the multi-scale GAN, by their networks.

    `encoder_learns_from` names the step that trains the encoder. T2F's learnt through the generator; through the
    matching-aware discriminator, which must tell right words from wrong ones, it learns what words mean sooner.

    Where the discriminator can also judge a picture alone, both networks minimise the sum of the conditional and the
    unconditional loss (StackGAN++); from faces that nobody described, they learn by the latter.

    With `contrastive_weight` both also minimise XMC-GAN's loss, by which a picture must fit its own words better than
    all others' of the batch, the discriminator's of real pictures and the generator's of its own.

    With `classifier_weight` the discriminator also learns to tell the attributes of real faces, where the data know
    them, from the picture and from the words: by that both come to hold small things, such as a smile, which right and
    wrong words alone teach very late. Unlike in AC-GAN, the generator is not asked to please the classifier.

    `ema_half_life` is in images, 0 for no average; early on it is at most `ema_ramp` of the images seen.
    """

    def __init__(
        self,
        networks: ConditionalGenerator,
        discriminator: Discriminator,
        loss: AdversarialLoss,
        penalties: Sequence[GradientPenalty],
        generator_optimizer: Callable[..., Optimizer],
        discriminator_optimizer: Callable[..., Optimizer],
        lr_schedule: LearningRateSchedule,
        acceleration: Acceleration,
        encoder_learns_from: Literal["generator", "discriminator"],
        matching_aware: bool,
        kl_weight: float,
        contrastive_weight: float,
        classifier_weight: float,
        n_critic: int,
        ema_half_life: float,
        ema_ramp: float,
        seed: int,
        card: dict[str, Any],
    ) -> None:
        super().__init__(seed, card, lr_schedule)
        self.networks = networks
        self.discriminator = discriminator
        self.ema = copy.deepcopy(networks).requires_grad_(False).eval()
        self.adversarial_loss = loss
        self.penalties = penalties
        self.acceleration = acceleration
        self.noise_dim = networks.noise_dim
        self.max_resolution = networks.generator.max_resolution
        self.grows = networks.generator.grows
        require(
            networks.generator.noise_dim > 0,
            "The latent leaves no noise beside the condition: raise model.networks.generator.latent_dim.",
        )
        require(
            discriminator.compares or not contrastive_weight,
            f"model.contrastive_weight is {contrastive_weight}, but the discriminator does not compare pictures with "
            "others' words: choose model=t2f or multiscale with model.discriminator.project=true, or 0.",
        )
        require(
            discriminator.classes is not None or not classifier_weight,
            f"model.classifier_weight is {classifier_weight}, but the discriminator does not classify: choose "
            "model=t2f or multiscale with model.discriminator.project=true, or 0.",
        )
        require(n_critic >= 1, f"model.n_critic is {n_critic}: it must be at least 1.")
        require(ema_half_life >= 0, f"model.ema_half_life is {ema_half_life}: it must be 0 (none) or above.")
        require(ema_ramp > 0, f"model.ema_ramp is {ema_ramp}: it must be above 0.")
        require(
            encoder_learns_from in ("generator", "discriminator"),
            f"model.encoder_learns_from is {encoder_learns_from}: it must be generator or discriminator.",
        )
        self.make_generator_optimizer = generator_optimizer
        self.make_discriminator_optimizer = discriminator_optimizer
        self.encoder_learns_from = encoder_learns_from
        self.matching_aware = matching_aware
        self.learns_unlabelled = discriminator.has_unconditional_score
        self.least_labelled = 2 if matching_aware else 1
        self.kl_weight = kl_weight
        self.contrastive_weight = contrastive_weight
        self.classifier_weight = classifier_weight if discriminator.classes else 0.0
        self.n_critic = n_critic
        self.ema_half_life = ema_half_life
        self.ema_ramp = ema_ramp

    def configure_optimizers(self) -> list[Optimizer]:
        drawing = [*self.networks.generator.parameters()]
        if self.networks.conditioning is not None:
            drawing = [*self.networks.conditioning.parameters(), *drawing]
        judging = list(self.discriminator.parameters())
        words = list(self.networks.encoder.parameters())
        (drawing if self.encoder_learns_from == "generator" else judging).extend(words)
        return [
            make_optimizer(self.make_generator_optimizer, drawing, "model.generator_optimizer"),
            make_optimizer(self.make_discriminator_optimizer, judging, "model.discriminator_optimizer"),
        ]

    def on_fit_start(self) -> None:
        generator, average = self.networks.generator, self.ema.generator
        self.acceleration.apply(generator, average, self.discriminator, self.device)

    def train_on(self, batch: Batch, step: int) -> dict[str, Tensor]:
        self.acceleration.begin_step()
        resolution, alpha = self.position.resolution, self.position.alpha
        labelled = batch["labelled"]
        real = self.discriminator.picture(to_float(batch["images"]), resolution, alpha)
        embedding = self.networks.encoder(batch["conditions"])
        if self.encoder_learns_from == "generator":
            for_drawing, for_judging = embedding, embedding.detach()
        else:
            for_drawing, for_judging = embedding.detach(), embedding
        # Both steps use this one drawing: the generator changes only after its gradient has been taken.
        noise = drawn(torch.randn, len(real), self.noise_dim, device=self.device)
        fake, moments = self.networks.draw(for_drawing, noise, resolution, alpha)

        wrong = self.wrong_words(batch, for_judging) if self.matching_aware else None
        same = same_rows(gathered(batch["conditions"]))
        report = self.discriminator_step(real, fake.detach(), for_judging, wrong, same, batch, step)
        if step % self.n_critic == 0:
            report |= self.generator_step(real, fake, moments, for_drawing, same, labelled)
            self.update_ema(len(real) * self.trainer.world_size * self.n_critic)
        return report

    def wrong_words(self, batch: Batch, embedding: Tensor) -> Tensor:
        """Embeddings of words that do not fit the labelled faces: those of others in the batch of all processes."""
        if self.trainer.world_size == 1:
            return embedding[nearest_different(batch["conditions"][: batch["labelled"]])]
        others = gathered(batch["conditions"])[: self.labelled_of_all(batch["labelled"])]
        wrong = others[nearest_different(others)][self.global_rank :: self.trainer.world_size]
        with torch.set_grad_enabled(embedding.requires_grad):
            return cast(Tensor, self.networks.encoder(wrong))

    def discriminator_step(
        self,
        real: Tensor,
        fake: Tensor,
        embedding: Tensor,
        wrong: Tensor | None,
        same: Tensor,
        batch: Batch,
        step: int,
    ) -> dict[str, Tensor]:
        """Teach the discriminator real with right words from fake, and from real with `wrong` words.

        Only the first `labelled` of the real faces have words of their own; `same` tells which words are equal, of all
        processes.
        """
        optimizer = self.both_optimizers()[1]
        resolution, alpha = self.position.resolution, self.position.alpha
        labelled = batch["labelled"]
        words = embedding[:labelled]
        seen = self.discriminator.see(real, resolution, alpha)
        seen_fake = self.discriminator.see(fake, resolution, alpha)
        real_score = self.discriminator.judge(seen[:labelled], words)
        fake_score = self.discriminator.judge(seen_fake[:labelled], words)
        wrong_score = None
        if wrong is not None:
            wrong_score = self.discriminator.judge(seen[:labelled], wrong)
        loss = self.adversarial_loss.discriminator(real_score, fake_score, wrong_score)
        report = {
            "score/real": real_score.mean(),
            "score/fake": fake_score.mean(),
            "accuracy/real": (real_score > 0).float().mean(),
            "accuracy/fake": (fake_score < 0).float().mean(),
        }
        if wrong_score is not None:
            report["score/wrong_words"] = wrong_score.mean()
        if self.learns_unlabelled:
            real_alone, fake_alone = self.discriminator.judge_alone(seen), self.discriminator.judge_alone(seen_fake)
            loss = loss + self.adversarial_loss.discriminator(real_alone, fake_alone, None)
            report |= {"score/real_alone": real_alone.mean(), "score/fake_alone": fake_alone.mean()}
        report["loss/discriminator"] = loss
        if self.contrastive_weight:
            similarity, known = self.discriminator.compare(seen, embedding), self.labelled_of_all(labelled)
            report["loss/contrastive_real"] = contrastive_loss(similarity[:known, :known], same[:known, :known])
            loss = loss + self.contrastive_weight * report["loss/contrastive_real"]
        if self.classifier_weight:
            of_pictures, of_words = self.discriminator.classify(seen, words)
            report["loss/attributes_of_pictures"] = classification_loss(of_pictures, batch["attributes"])
            report["loss/attributes_of_words"] = classification_loss(of_words, batch["attributes"][:labelled])
            both = report["loss/attributes_of_pictures"] + report["loss/attributes_of_words"]
            loss = loss + self.classifier_weight * both

        for penalty in self.penalties:
            if step % penalty.every == 0:
                with penalty_precision(self.device.type), self.acceleration.eager():
                    value = penalty(lambda x: self.all_scores(x, words.detach()), real, fake)
                loss = loss + value
                report[f"penalty/{type(penalty).__name__}"] = value / penalty.every
        self.descend(loss, optimizer)
        return report

    def labelled_of_all(self, labelled: int) -> int:
        """How many faces are labelled in the shares of all processes."""
        if self.trainer.world_size == 1:
            return labelled
        return int(gathered(torch.tensor([labelled], device=self.device)).sum())

    def all_scores(self, picture: Tensor, words: Tensor) -> Tensor:
        """The sum of a picture's scores with its words, where it has some, and alone: (B,), for gradient penalties."""
        seen = self.discriminator.see(picture, self.position.resolution, self.position.alpha)
        score = self.discriminator.judge(seen[: len(words)], words)
        if self.learns_unlabelled:
            alone = self.discriminator.judge_alone(seen)
            score = torch.cat([alone[: len(words)] + score, alone[len(words) :]])
        return score

    def generator_step(
        self,
        real: Tensor,
        fake: Tensor,
        moments: tuple[Tensor, Tensor] | None,
        embedding: Tensor,
        same: Tensor,
        labelled: int,
    ) -> dict[str, Tensor]:
        """Teach the generator, and what else learns with it, to be taken for real with these words.

        Losses that pair drawn with real faces can do so with the first `labelled` only, where the words are both's.
        """
        optimizer = self.both_optimizers()[0]
        resolution, alpha = self.position.resolution, self.position.alpha
        self.discriminator.requires_grad_(False)
        seen = self.discriminator.see(fake, resolution, alpha)
        fake_score = self.discriminator.judge(seen, embedding)
        seen_real = real_score = None
        if self.adversarial_loss.needs_real_in_generator_step:
            seen_real = self.discriminator.see(real, resolution, alpha)
            real_score = self.discriminator.judge(seen_real[:labelled], embedding[:labelled])
            fake_score = fake_score[:labelled]
        adversarial = self.adversarial_loss.generator(fake_score, real_score)
        loss = adversarial
        report = {"loss/generator": adversarial}
        if self.learns_unlabelled:
            real_score = None if seen_real is None else self.discriminator.judge_alone(seen_real)
            loss = loss + self.adversarial_loss.generator(self.discriminator.judge_alone(seen), real_score)
        if self.contrastive_weight:
            report["loss/contrastive_fake"] = contrastive_loss(self.discriminator.compare(seen, embedding), same)
            loss = loss + self.contrastive_weight * report["loss/contrastive_fake"]
        if moments is not None:
            report["loss/kl"] = kl_to_standard_normal(*moments)
            loss = loss + self.kl_weight * report["loss/kl"]
        self.descend(loss, optimizer)
        self.discriminator.requires_grad_(True)
        return report

    def descend(self, loss: Tensor, optimizer: LightningOptimizer | Optimizer) -> None:
        """One step of the optimiser; each gradient is taken in the precision that its forward pass ran in."""
        optimizer.zero_grad()
        with torch.autocast(self.device.type, enabled=False):  # else second derivatives would be cast anew
            self.manual_backward(loss)
        optimizer.step()

    def update_ema(self, images: int) -> None:
        """Let the averaged networks follow: what is `half_life` images old counts half."""
        half_life = min(self.ema_half_life, self.ema_ramp * max(self.images_seen, 1))
        update_average(self.ema, self.networks, beta=0.5 ** (images / half_life) if half_life else 0.0)

    @torch.no_grad()
    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        images: Tensor = self.ema(conditions, noise, self.position.resolution, self.position.alpha)
        return images

    @torch.no_grad()
    def score(self, conditions: Tensor, images: Tensor) -> Tensor:
        resolution, alpha = self.position.resolution, self.position.alpha
        self.discriminator.eval()  # batch norm would learn from them
        picture = self.discriminator.picture(to_float(images), resolution, alpha)
        scores: Tensor = self.discriminator(picture, self.networks.encoder(conditions), resolution, alpha)
        self.discriminator.train()
        return scores


def penalty_precision(device: str) -> torch.autocast:
    """The precision of the run, but float32 where that is float16, in which squared gradients underflow.

    bfloat16 reaches as far as float32; norms are taken and added up in float32 in each case, since the pictures are.
    """
    dtype = torch.get_autocast_dtype(device)
    return torch.autocast(device, dtype, enabled=torch.is_autocast_enabled(device) and dtype != torch.float16)


def nearest_different(conditions: Tensor) -> Tensor:
    """Conditions (B, ...) -> for each, the number of the nearest one before it, around the start, that differs: (B,).

    With few labels a neighbour often has the same ones, which would be no wrong words. Where all are the same, it is
    the neighbour.
    """
    rows = conditions.flatten(1)
    count = len(rows)
    places = torch.arange(count, device=rows.device)
    candidates = (places[:, None] - places - 1) % count
    differs = (rows[:, None] != rows[candidates]).any(dim=2)
    first = differs.int().argmax(dim=1, keepdim=True)
    return candidates.gather(1, first).squeeze(1)

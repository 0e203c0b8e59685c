"""What all our GANs share: the clock, manual optimisation, the running averages, the checkpoint."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from t2f.batches.batch import Batch
from t2f.checkpoint import CHECKPOINT_KEY
from t2f.errors import UserError
from t2f.growth import Position
from t2f.systems.learning_rate import LearningRateSchedule


class GANSystem(pl.LightningModule):
    """A GAN on the clock of images seen: real images shown to the discriminator, summed over processes.

    `position` is set before each step by the growth callback. All randomness of a step follows from (seed, images
    seen, place in the batch), so a run that resumes needs no random state, nor does the number of processes matter.
    """

    position: Position
    noise_dim: int
    max_resolution: int
    grows: bool
    least_labelled: int
    """How many faces of a batch must be labelled, in each process."""
    learns_unlabelled: bool
    """Whether faces of which nothing is known can be learnt from."""

    def __init__(self, seed: int, card: dict[str, Any], lr_schedule: LearningRateSchedule) -> None:
        """`card`: what a checkpoint must tell to draw faces elsewhere; plain values only."""
        super().__init__()
        self.automatic_optimization = False
        self.seed = seed
        self.card = card
        self.lr_schedule = lr_schedule
        self.images_seen = 0
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()

    @abstractmethod
    def train_on(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """One alternating step; what to report of it, scalars.

        `step` is the number of batches of this size in the images seen: it tells when lazy things are due.
        """

    @torch.no_grad()
    @abstractmethod
    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Conditions (B, ...), noise (B, noise_dim) -> images (B, 3, r, r) of the averaged generator as it stands."""

    @torch.no_grad()
    @abstractmethod
    def score(self, conditions: Tensor, images: Tensor) -> Tensor:
        """Conditions (B, ...), uint8 images (B, 3, R, R) -> how real and fitting the discriminator finds them: (B,)."""

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        seed_for_step(step_seed(self.seed, self.images_seen), self.device)
        self.set_learning_rates()
        with casting_once(self.device.type):
            report = self.train_on(batch, self.images_seen // self.position.batch_size)
        for name, value in report.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().float()
            self._counts[name] += 1
        self.images_seen += len(batch["images"]) * self.trainer.world_size

    def both_optimizers(self) -> list[LightningOptimizer]:
        """The generator's and the discriminator's, as `configure_optimizers` gave them."""
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        return optimizers

    def set_learning_rates(self) -> None:
        """Set each optimiser's learning rate to its configured one times the schedule's factor."""
        factor = self.lr_schedule(self.position)
        for optimizer in self.both_optimizers():
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * factor

    def on_train_start(self) -> None:
        # Those of a checkpoint are on the CPU.
        self._sums = {name: value.to(self.device) for name, value in self._sums.items()}

    def on_train_end(self) -> None:
        self.share_buffers()

    def share_buffers(self) -> None:
        """Make batch norm's statistics, each process's own after a step, those of the first process."""
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def share_sums(self) -> None:
        """Make what the processes have summed up the mean of all."""
        if self._sums and self.trainer.world_size > 1:
            mean = self.trainer.strategy.reduce(torch.stack(list(self._sums.values())), reduce_op="mean")
            assert isinstance(mean, Tensor)
            self._sums = dict(zip(self._sums, mean, strict=True))

    def read_averages(self) -> dict[str, float]:
        """The averages of what `train_on` reported since the last reading, in all processes.

        Each is over the steps that reported it. To be called in all processes at once.
        """
        self.share_sums()
        averages = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
        self._sums.clear()
        self._counts.clear()
        return averages

    def gradient_norms(self) -> dict[str, float]:
        """The Euclidean norm of all gradients that each network's optimiser has, as the last step left them."""
        norms = {}
        for name, optimizer in zip(("generator", "discriminator"), self.both_optimizers(), strict=True):
            parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            norms[name] = float(nn.utils.get_total_norm(gradients))
        return norms

    def assert_finite(self) -> None:
        """Raise `UserError`, in all processes, when a loss since the last reading or a weight is not finite."""
        values = [*self._sums.values(), *torch._foreach_norm(list(self.parameters()))]
        finite = bool(torch.stack([value.reshape(()) for value in values]).isfinite().all())
        if not self.trainer.strategy.reduce_boolean_decision(finite, all=True):
            raise UserError(
                f"Training diverged: a loss or a weight is not finite after {self.images_seen:,} images. Start again "
                "with a lower learning rate (model.generator_optimizer.lr, model.discriminator_optimizer.lr) or a "
                "stronger gradient penalty, or with these go on from a checkpoint written before (ckpt_path=...)."
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.share_sums()
        checkpoint[CHECKPOINT_KEY] = {
            **self.card,
            "images_seen": self.images_seen,
            "resolution": self.position.resolution,
            "alpha": self.position.alpha,
            "not_yet_logged": {name: (value, self._counts[name]) for name, value in self._sums.items()},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint[CHECKPOINT_KEY]
        if saved.get("conditioner") != self.card["conditioner"]:
            raise UserError(
                "The checkpoint was trained on other captions or labels than this run's, or by another version of t2f, "
                "which makes or reads captions otherwise: resume with the data, text and conditioning settings it had, "
                "and the version."
            )
        expected = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in checkpoint["state_dict"].items()}
        if expected != found:
            differing = next(name for name in {**found, **expected} if expected.get(name) != found.get(name))
            raise UserError(
                f"The checkpoint holds another model than this run's (they differ in {differing}): "
                "resume with the model settings it had."
            )
        self.images_seen = saved["images_seen"]
        not_yet_logged = saved.get("not_yet_logged", {})  # what older checkpoints lack
        self._sums = {name: value for name, (value, _) in not_yet_logged.items()}
        self._counts = Counter({name: count for name, (_, count) in not_yet_logged.items()})


def step_seed(seed: int, images_seen: int) -> int:
    """A 64-bit seed for one step; a stream of its own for each."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {images_seen}".encode(), digest_size=8).digest(), "big")


def seed_for_step(seed: int, device: torch.device) -> None:
    """What torch.manual_seed does for this device; for absent ones it notes the stack, a millisecond each time."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def casting_once(device: str) -> torch.autocast:
    """The precision of the run, in which what learns is cast once for all passes of a step; Lightning casts for each.

    A network that learns in the midst of a step must be frozen when it is passed again, as the discriminator is: what
    is frozen is not kept.
    """
    dtype = torch.get_autocast_dtype(device)
    return torch.autocast(device, dtype, enabled=torch.is_autocast_enabled(device), cache_enabled=True)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, beta: float) -> None:
    """average <- beta * average + (1 - beta) * model, in place, for every parameter and batch norm's statistics."""
    pairs = zip(average.state_dict().values(), model.state_dict().values(), strict=True)
    followers, leaders = zip(*((a, b) for a, b in pairs if a.is_floating_point()), strict=True)
    torch._foreach_lerp_(followers, leaders, 1 - beta)

"""The base of all GANs: images seen, manual optimization, running averages of metrics, and checkpoints."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import Counter
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from t2f.training.batches.batch import Batch
from t2f.training.growth_schedule import ScheduleState
from t2f.training.optimizers import Optimizers, rates_to_tensors
from t2f.training.step_graphs import CUDAGraphs, GraphRecorder, StepGraphs
from t2f.training.step_plan import StepPlan
from t2f.utils.checkpoints import CHECKPOINT_KEY
from t2f.utils.errors import UserError
from t2f.utils.private_api import count_optimizer_step


class GANModule(pl.LightningModule):
    """A GAN whose clock is images seen: real images shown to the discriminator, summed over processes.

    All randomness of a step is a function of (seed, images seen, index in the batch). A resumed run therefore needs no
    random state, and the result does not depend on the number of processes.

    Args:
        seed: Seed of all random numbers of training.
        metadata: Config and conditioner as plain values. Checkpoints contain them to be usable on their own.

    Attributes:
        schedule_state: State of the growth schedule; the growth callback sets it before each step.
        noise_dim: Length of the noise vector.
        max_resolution: Side of the largest image, in pixels.
        grows: Whether the networks also generate at lower resolutions.
        min_labeled: Labeled images that each process needs in a batch.
        uses_unlabeled: Whether unlabeled images can be used.
    """

    schedule_state: ScheduleState
    noise_dim: int
    max_resolution: int
    grows: bool
    min_labeled: int
    uses_unlabeled: bool
    make_optimizers: Optimizers

    def __init__(self, seed: int, metadata: dict[str, Any]) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.seed = seed
        self.metadata = metadata
        self.images_seen = 0
        self.graphs: StepGraphs | None = None
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()

    @abstractmethod
    def plan(self, step: int) -> StepPlan:
        """Plan the next training step.

        Args:
            step: Number of batches of this size in the images seen; lazy terms depend on it.
        """

    @abstractmethod
    def train_on(self, batch: Batch, plan: StepPlan) -> dict[str, Tensor]:
        """Take one step of each network.

        The step may be recorded, to be repeated on the same tensors with other values (`StepGraphs`).

        Args:
            batch: The rows of this process.
            plan: What to do in this step.

        Returns:
            Scalars to log.
        """

    @abstractmethod
    def records_steps(self) -> bool:
        """Return whether training steps are recorded as CUDA graphs."""

    @abstractmethod
    def speed_settings(self) -> list[str]:
        """Return what the terminal says about the device besides the precision."""

    @torch.no_grad()
    @abstractmethod
    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Generate images with the averaged networks at the current resolution.

        Args:
            conditions: (B, ...), token ids or vectors.
            noise: float (B, noise_dim), standard normal.

        Returns:
            float32 (B, 3, r, r), about [-1, 1].
        """

    @torch.no_grad()
    @abstractmethod
    def score(self, conditions: Tensor, images: Tensor) -> Tensor:
        """Return the discriminator's conditional logits (B,) of conditions (B, ...) and uint8 images (B, 3, R, R)."""

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        seed_for_step(step_seed(self.seed, self.images_seen), self.device)
        self.make_optimizers.set_learning_rates(self.both_optimizers(), self.schedule_state)
        plan = self.plan(self.images_seen // self.schedule_state.batch_size)
        if self.graphs is None:
            metrics = self.take_step(batch, plan)
        else:
            replays = self.graphs.replays
            metrics = self.graphs.take(self.take_step, batch, plan)
            if self.graphs.replays > replays:
                self.count_optimizer_steps(plan)
        self._counts.update(metrics)
        self.images_seen += len(batch["images"]) * self.trainer.world_size

    def take_step(self, batch: Batch, plan: StepPlan) -> tuple[str, ...]:
        """Train on a batch, add the metrics to their sums, and return their names."""
        with cached_autocast(self.device.type):
            report = self.train_on(batch, plan)
        for name in report:
            if name not in self._sums:
                self._sums[name] = torch.zeros((), device=self.device)
        if report:
            values = [value.detach().float() for value in report.values()]
            torch._foreach_add_([self._sums[name] for name in report], values)
        return tuple(report)

    def count_optimizer_steps(self, plan: StepPlan) -> None:
        """Count the steps of a replay in `trainer.global_step`, as Lightning counts those that it sees."""
        for optimizer in self.both_optimizers()[0 if plan.trains_generator else 1 :]:
            count_optimizer_step(optimizer)

    def both_optimizers(self) -> list[LightningOptimizer]:
        """Return the generator's and the discriminator's optimizer."""
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        return optimizers

    def on_train_start(self) -> None:
        # The sums of a checkpoint are on the CPU.
        self._sums = {name: value.to(self.device) for name, value in self._sums.items()}
        if self.records_steps():
            rates_to_tensors(self.both_optimizers(), self.device)
            self.graphs = StepGraphs(self.make_recorder(), self.parameters(), self.device)

    def make_recorder(self) -> GraphRecorder:
        return CUDAGraphs(self.device)

    def on_train_end(self) -> None:
        if self.graphs is not None:
            self.graphs.free()
            self.graphs = None
        self.share_buffers()

    def share_buffers(self) -> None:
        """Copy batch norm's statistics, which differ between processes, from the first process to all."""
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def share_sums(self) -> None:
        """Replace the sums of each process by their mean over processes."""
        if self._sums and self.trainer.world_size > 1:
            sums = list(self._sums.values())
            mean = self.trainer.strategy.reduce(torch.stack(sums), reduce_op="mean")
            assert isinstance(mean, Tensor)
            torch._foreach_copy_(sums, list(mean))

    def read_averages(self) -> dict[str, float]:
        """Return the averages of the metrics of `train_on` since the last call, over processes and steps.

        Each is averaged over the steps that report it. All processes must call this at the same step.
        """
        self.share_sums()
        if not self._counts:
            return {}
        sums = torch.stack([self._sums[name] for name in self._counts]).tolist()
        averages = {name: value / count for value, (name, count) in zip(sums, self._counts.items(), strict=True)}
        torch._foreach_zero_(list(self._sums.values()))  # in the place that a recorded step adds to
        self._counts.clear()
        return averages

    def gradient_norms(self) -> dict[str, float]:
        """Return the Euclidean norm of each optimizer's gradients after the last step."""
        if self.graphs is not None:
            self.graphs.restore_gradients()
        norms = {}
        for name, optimizer in zip(("generator", "discriminator"), self.both_optimizers(), strict=True):
            parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
            gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
            norms[name] = float(nn.utils.get_total_norm(gradients))
        return norms

    def assert_finite(self) -> None:
        """Check the losses since the last reading, and all weights.

        Raises:
            UserError: In all processes, if one of them is not finite in any process.
        """
        values = [*self._sums.values(), *torch._foreach_norm(list(self.parameters()))]
        finite = bool(torch.stack([value.reshape(()) for value in values]).isfinite().all())
        if not self.trainer.strategy.reduce_boolean_decision(finite, all=True):
            raise UserError(
                f"Training diverged: a loss or a weight is not finite after {self.images_seen:,} images. Start again "
                "with a lower learning rate (model.optimizers.generator.lr, model.optimizers.discriminator.lr) or a "
                "stronger gradient penalty, or with these resume from an earlier checkpoint (ckpt_path=...)."
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.share_sums()
        checkpoint[CHECKPOINT_KEY] = {
            **self.metadata,
            "images_seen": self.images_seen,
            "resolution": self.schedule_state.resolution,
            "alpha": self.schedule_state.alpha,
            "not_yet_logged": {name: (self._sums[name], count) for name, count in self._counts.items()},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint[CHECKPOINT_KEY]
        if saved.get("conditioner") != self.metadata["conditioner"]:
            raise UserError(
                "The checkpoint was trained on other captions or labels than this run's, or by another version of t2f "
                "with other captions: resume with the same data, text and conditioning settings, and the same version."
            )
        expected = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in checkpoint["state_dict"].items()}
        if expected != found:
            differing = next(name for name in {**found, **expected} if expected.get(name) != found.get(name))
            raise UserError(
                f"The checkpoint holds another model than this run's (they differ in {differing}): "
                "resume with the same model settings."
            )
        self.images_seen = saved["images_seen"]
        self._sums = {name: value for name, (value, _) in saved["not_yet_logged"].items()}
        self._counts = Counter({name: count for name, (_, count) in saved["not_yet_logged"].items()})


def step_seed(seed: int, images_seen: int) -> int:
    """Return the 64-bit seed of one step."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {images_seen}".encode(), digest_size=8).digest(), "big")


def seed_for_step(seed: int, device: torch.device) -> None:
    """Seed the CPU and this device. torch.manual_seed takes a millisecond for devices that are absent."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def cached_autocast(device: str) -> torch.autocast:
    """Return the autocast of the run, which keeps its weight cache for a whole step; Lightning's drops it.

    A network whose weights change within a step must be frozen before its next pass, as the discriminator is, since
    frozen weights are not cached.
    """
    dtype = torch.get_autocast_dtype(device)
    return torch.autocast(device, dtype, enabled=torch.is_autocast_enabled(device), cache_enabled=True)

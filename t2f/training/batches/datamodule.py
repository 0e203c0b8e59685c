"""The LightningDataModule for any dataset of faces."""

from __future__ import annotations

import sys
from typing import Protocol, cast

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from t2f.conditioning.base import Conditioner
from t2f.data.faces import Faces
from t2f.training.base import GANModule
from t2f.training.batches.batch import Batch
from t2f.training.batches.dataset import ConditionedFaces
from t2f.training.batches.sampler import ImagesSeenSampler
from t2f.training.growth_schedule import GrowthSchedule
from t2f.utils.errors import UserError, require
from t2f.utils.signals import ignore_signals_in_worker

AUTO = "auto"
GPU_WORKERS = 2
"""Number of workers for a GPU that does not hold the faces, if workers is auto."""
FORKS = sys.platform == "linux"
"""Whether workers share the memory of this process. On other systems, each receives a copy of all faces."""


class FaceDataset(Protocol):
    """A dataset of `conf/data`.

    Attributes:
        name: For reports.
        mirror: Whether training faces may be mirrored at random.
    """

    name: str
    mirror: bool

    def prepare(self) -> None:
        """Fill the cache. The properties read it."""

    @property
    def train(self) -> Faces: ...

    @property
    def held_out(self) -> Faces: ...


class FaceDataModule(pl.LightningDataModule):
    """Training batches in the order of `ImagesSeenSampler`, sharded over processes.

    Args:
        source: The dataset, prepared.
        conditioner: Computes the conditions of the faces.
        schedule: Batch sizes and length of the training.
        labeled_fraction: Fraction of each batch, in (0, 1], that is sampled from the labeled faces, if some faces are
            unlabeled.
        seed: Seed of the batches.
        workers: Number of processes that prepare batches. AUTO: 2 for a GPU that does not hold the faces, on Linux;
            else 0, since on a CPU they would compete with training.
        faces_on_device: Whether the training device holds all faces in memory. AUTO: on a GPU with enough free memory,
            if `workers` is AUTO or 0.
        overfit: Whether to train on the first batch only, for debugging.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        source: FaceDataset,
        conditioner: Conditioner,
        schedule: GrowthSchedule,
        labeled_fraction: float = 0.5,
        seed: int = 0,
        workers: int | str = AUTO,
        faces_on_device: bool | str = AUTO,
        overfit: bool = False,
    ) -> None:
        super().__init__()
        if workers != AUTO and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 0):
            raise ValueError(f"workers is {workers}: it must be {AUTO}, or a number of processes, 0 for none.")
        if not isinstance(faces_on_device, bool) and faces_on_device != AUTO:
            raise ValueError(f"faces_on_device is {faces_on_device}: it must be true, false or {AUTO}.")
        if faces_on_device is True and workers not in (AUTO, 0):
            raise ValueError(f"workers must be {AUTO} or 0 with faces_on_device=true, but is {workers}.")
        if not 0 < labeled_fraction <= 1:
            raise ValueError(f"labeled_fraction is {labeled_fraction}: it must be above 0 and at most 1.")
        self.source = source
        self.conditioner = conditioner
        self.schedule = schedule
        self.labeled_fraction = labeled_fraction
        self.seed = seed
        self.workers = workers
        self.faces_on_device = faces_on_device
        self.overfit = overfit

    def setup(self, stage: str) -> None:
        faces = self.source.train
        if faces.images.shape[-1] < self.schedule.final_resolution:
            raise UserError(
                f"The dataset has {faces.images.shape[-1]} pixels, but growth.resolutions ends at "
                f"{self.schedule.final_resolution}: set data.resolution={self.schedule.final_resolution}."
            )
        assert self.trainer is not None
        device = self.trainer.strategy.root_device
        self.faces = ConditionedFaces(faces, self.conditioner, self.source.mirror)
        on_device = self.faces_on_device
        if on_device == AUTO:
            on_device = self.workers in (AUTO, 0) and self.faces.fits(device)
        if on_device:
            self.faces.load_to(device)
        if self.workers == AUTO:
            self.worker_count = GPU_WORKERS if device.type == "cuda" and not on_device and FORKS else 0
        else:
            self.worker_count = int(self.workers)

    def teardown(self, stage: str) -> None:
        self.faces.release()  # the trainer refers to them until the process ends

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None
        model, world_size = cast(GANModule, self.trainer.lightning_module), self.trainer.world_size
        self.check_batch_sizes(model, world_size)
        sampler = ImagesSeenSampler(
            self.faces.labeled,
            self.labeled_fraction,
            self.schedule,
            self.seed,
            start=model.images_seen,  # Lightning has already restored the checkpoint
            rank=self.trainer.global_rank,
            world_size=world_size,
            overfit=self.overfit,
        )
        return DataLoader(
            self.faces,
            sampler=sampler,
            batch_size=None,
            num_workers=self.worker_count,
            multiprocessing_context="fork" if FORKS and self.worker_count else None,
            worker_init_fn=ignore_signals_in_worker,
            persistent_workers=self.worker_count > 0,
            pin_memory=self.faces.images_on_device is None and self.trainer.strategy.root_device.type == "cuda",
        )

    def check_batch_sizes(self, model: GANModule, world_size: int) -> None:
        """Raise `UserError` if a batch cannot be sharded, or has too few labeled or unusable unlabeled faces."""
        unlabeled = int((~self.faces.labeled).sum())
        fraction = self.labeled_fraction if unlabeled else 1.0
        require(
            fraction == 1 or model.uses_unlabeled,
            f"{unlabeled:,} of the {len(self.faces):,} faces have no description, and only a discriminator with an "
            "unconditional score can learn from them: leave them out with labeled_fraction=1, or set "
            "model.discriminator.unconditional=true (for model=t2f, multiscale and photos).",
        )
        for size in (stage.batch_size for stage in self.schedule.stages):
            require(
                size % world_size == 0,
                f"growth.batch_sizes has {size}, which is not a multiple of the {world_size} processes.",
            )
            labeled = int(round(size * fraction, 6)) // world_size
            require(
                labeled >= model.min_labeled,
                f"A batch of {size} images (growth.batch_sizes) may have only {labeled} labeled face(s) per process, "
                f"but the objectives need {model.min_labeled}: raise growth.batch_sizes or labeled_fraction.",
            )

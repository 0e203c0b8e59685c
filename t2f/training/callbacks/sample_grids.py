"""Grids of samples from fixed captions and fixed noise, and their time-lapse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from torchvision.transforms.functional import pil_to_tensor

from t2f.training.base import GANModule
from t2f.training.callbacks.base import EveryNImages, ImagesSeenCallback, datamodule_of
from t2f.training.loggers.wandb import WandbLogger
from t2f.utils.images import captioned_sheet, save_png, save_time_lapse, to_pil, to_uint8


class SampleGrids(ImagesSeenCallback):
    """Saves grids of generated faces: one row per description of a held-out face, one column per noise vector.

    The first column shows the real face. In a row only the noise differs, in a column only the description.

    Args:
        folder: Folder of the grids. The time-lapse is written beside it.
        every: Interval in images, at least 1.
        frames: Minimum number of frames of the time-lapse, at least 1. A short run shortens the interval for it.
        captions: Number of rows.
        faces: Number of generated faces per row.
        face_size: Side of each face in the grid, in pixels.
        seed: Seed of the noise.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self, folder: str, every: int, frames: int, captions: int, faces: int, face_size: int, seed: int
    ) -> None:
        super().__init__(every)
        if frames < 1:
            raise ValueError(f"frames is {frames}: it must be at least 1.")
        self.frames = frames
        self.folder = Path(folder)
        self.rows = captions
        self.faces = faces
        self.face_size = face_size
        self.seed = seed

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        longest = datamodule_of(trainer).schedule.total_images // self.frames
        self.interval = EveryNImages(max(1, min(self.interval.every, longest)))
        super().on_train_start(trainer, pl_module)

    def begin(self, trainer: pl.Trainer, model: GANModule) -> None:
        datamodule = datamodule_of(trainer)
        source = datamodule.source.held_out
        examples = datamodule.conditioner.examples(source, self.rows)
        if not examples:  # no held-out face has a description
            source = datamodule.source.train
            examples = datamodule.conditioner.examples(source, self.rows)
        self.captions = [example.description for example in examples]
        self.real = torch.from_numpy(np.stack([example.image(source) for example in examples]))
        self.conditions = datamodule.conditioner(self.captions).repeat_interleave(self.faces, dim=0)
        generator = torch.Generator().manual_seed(self.seed)
        self.noise = torch.randn(self.faces, model.noise_dim, generator=generator).repeat(len(examples), 1)
        if model.images_seen == 0:
            self.act(trainer, model)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANModule)
        frames = sorted(self.folder.glob("[0-9]*.png"))
        if trainer.is_global_zero and frames:
            growth = self.folder.parent / "growth.gif"
            save_time_lapse(frames, growth)
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_time_lapse(growth, pl_module.images_seen)

    def act(self, trainer: pl.Trainer, model: GANModule) -> None:
        if not trainer.is_global_zero:
            return
        fake = to_uint8(model.sample(self.conditions.to(model.device), self.noise.to(model.device))).cpu()
        size = self.real.shape[-1]
        fake = torch.nn.functional.interpolate(fake, size=(size, size), mode="nearest")
        images = torch.cat([self.real[:, None], fake.unflatten(0, (-1, self.faces))], dim=1)
        resolution = model.schedule_state.resolution
        headings = ["real", f"generated at {resolution}x{resolution}"]
        grid = captioned_sheet(self.captions, images, self.face_size, headings)
        save_png(grid, self.folder / f"{model.images_seen:09d}.png")
        self.log_grid(trainer, model, grid, fake)

    def log_grid(self, trainer: pl.Trainer, model: GANModule, grid: Image.Image, fake: torch.Tensor) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", pil_to_tensor(grid), model.images_seen)
            elif isinstance(logger, WandbLogger):
                captions = [caption for caption in self.captions for _ in range(self.faces)]
                scores = model.score(self.conditions.to(model.device), fake.to(model.device)).tolist()
                faces = [to_pil(face, self.face_size) for face in fake]
                logger.log_faces(grid, captions, faces, scores, model.images_seen)

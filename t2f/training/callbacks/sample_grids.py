"""Sample sheets of fixed captions and fixed noise, and their time-lapse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from torchvision.transforms.functional import pil_to_tensor

from t2f.training.base import GANModule
from t2f.training.callbacks.base import EveryNImages, ImagesSeenCallback, data_of
from t2f.training.loggers.wandb import WandbLogger
from t2f.utils.errors import require
from t2f.utils.images import captioned_sheet, save_png, save_time_lapse, to_pil, to_uint8


class SampleGrids(ImagesSeenCallback):
    """Draw what `captions` held-out faces are described by, `faces` faces each, beside the real face.

    One row a description, one column a noise vector, so that a row shows the variety and a column what the words do.
    A run so short that its time-lapse would have fewer than `frames` draws more often than every `every` images.
    """

    def __init__(
        self, folder: str, every: int, frames: int, captions: int, faces: int, face_size: int, seed: int
    ) -> None:
        super().__init__(every)
        require(frames >= 1, f"callbacks.sample_grids.frames is {frames}: it must be at least 1.")
        self.frames = frames
        self.folder = Path(folder)
        self.rows = captions
        self.faces = faces
        self.face_size = face_size
        self.seed = seed

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        most = data_of(trainer).schedule.total_images // self.frames
        self.cadence = EveryNImages(max(1, min(self.cadence.every, most)))
        super().on_train_start(trainer, pl_module)

    def begin(self, trainer: pl.Trainer, system: GANModule) -> None:
        data = data_of(trainer)
        shown = data.source.held_out
        examples = data.conditioner.examples(shown, self.rows)
        if not examples:  # none of those held out is described
            shown = data.source.train
            examples = data.conditioner.examples(shown, self.rows)
        self.captions = [example.description for example in examples]
        self.real = torch.from_numpy(np.stack([example.shown(shown) for example in examples]))
        self.conditions = data.conditioner(self.captions).repeat_interleave(self.faces, dim=0)
        generator = torch.Generator().manual_seed(self.seed)
        self.noise = torch.randn(self.faces, system.noise_dim, generator=generator).repeat(len(examples), 1)
        if system.images_seen == 0:
            self.act(trainer, system)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GANModule)
        frames = sorted(self.folder.glob("[0-9]*.png"))
        if trainer.is_global_zero and frames:
            growth = self.folder.parent / "growth.gif"
            save_time_lapse(frames, growth)
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_time_lapse(growth, pl_module.images_seen)

    def act(self, trainer: pl.Trainer, system: GANModule) -> None:
        if not trainer.is_global_zero:
            return
        drawn = to_uint8(system.sample(self.conditions.to(system.device), self.noise.to(system.device))).cpu()
        size = self.real.shape[-1]
        drawn = torch.nn.functional.interpolate(drawn, size=(size, size), mode="nearest")
        images = torch.cat([self.real[:, None], drawn.unflatten(0, (-1, self.faces))], dim=1)
        headings = ["real", f"drawn at {system.position.resolution}x{system.position.resolution}"]
        sheet = captioned_sheet(self.captions, images, self.face_size, headings)
        save_png(sheet, self.folder / f"{system.images_seen:09d}.png")
        self.show(trainer, system, sheet, drawn)

    def show(self, trainer: pl.Trainer, system: GANModule, sheet: Image.Image, drawn: torch.Tensor) -> None:
        """To the loggers that can show pictures."""
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", pil_to_tensor(sheet), system.images_seen)
            elif isinstance(logger, WandbLogger):
                captions = [caption for caption in self.captions for _ in range(self.faces)]
                scores = system.score(self.conditions.to(system.device), drawn.to(system.device)).tolist()
                faces = [to_pil(face, self.face_size) for face in drawn]
                logger.log_faces(sheet, captions, faces, scores, system.images_seen)

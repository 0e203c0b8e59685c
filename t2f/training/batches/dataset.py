"""Faces and their conditions as a data set of whole batches, read from disk or kept where they are learnt from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from t2f.conditioning.base import Conditioner
from t2f.data.faces import Faces, Images
from t2f.training.batches.batch import Batch
from t2f.training.batches.sampler import BatchIndices, Numbers

CPU = torch.device("cpu")
SHARE_OF_MEMORY = 0.25
"""The most of a GPU's free memory that faces take by themselves: the rest is for what learns from them."""
BYTES_AT_ONCE = 2**26


class ConditionedFaces(Dataset[Batch]):
    """A `BatchIndices` -> a batch, at once.

    The faces are read where they are, as a rule in a memory map, and batches are made on the CPU; after `keep_on`, on
    the device that all is kept on. The batches are the same.
    """

    def __init__(self, faces: Faces, conditioner: Conditioner, mirror: bool) -> None:
        conditions = conditioner.of(faces)
        self.counts, self.rotation_k = conditions.counts, conditions.rotation_k
        self.first = np.cumsum(self.counts) - self.counts
        self.mirror = mirror
        self.device = CPU
        self.images = faces.images
        self.kept: Tensor | None = None
        self.rows = conditions.rows
        self.attributes = torch.from_numpy(np.array(faces.attributes))

    def keep_on(self, device: torch.device) -> None:
        """Copy all faces and conditions to a device, and make batches there."""
        self.kept = copied(self.images, device)
        self.move(device)

    def release(self) -> None:
        """Give up the copies."""
        self.kept = None
        self.move(CPU)

    def move(self, device: torch.device) -> None:
        self.device = device
        self.rows, self.attributes = self.rows.to(device), self.attributes.to(device)

    def fits(self, device: torch.device) -> bool:
        """Whether a device is a GPU whose memory holds all faces and conditions with ease."""
        if device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # PyTorch's own, to use again
        return self.images.nbytes + self.rows.nbytes + self.attributes.nbytes <= SHARE_OF_MEMORY * free

    @property
    def labeled(self) -> npt.NDArray[np.bool_]:
        """Which faces have conditions, (N,)."""
        return self.counts > 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: BatchIndices) -> Batch:
        faces = self.placed(draw.faces)
        chosen = self.first[draw.faces] + (draw.choice * self.counts[draw.faces]).astype(np.int64)
        chosen[draw.labeled :] = draw.choice[draw.labeled :] * len(self.rotation_k)
        images = self.read(draw.faces) if self.kept is None else self.kept[faces]
        if self.mirror:
            mirrored = self.placed(np.flatnonzero(draw.mirror < 0.5))
            images[mirrored] = images[mirrored].flip(3)
        for rotation_k in (1, 2, 3):
            turned = np.flatnonzero(self.rotation_k[chosen] == rotation_k)
            if len(turned):
                where = self.placed(turned)
                images[where] = images[where].rot90(rotation_k, (2, 3))
        return {
            "images": images,
            "conditions": self.rows[self.placed(chosen)],
            "attributes": self.attributes[faces],
            "labeled": torch.arange(len(draw.faces), device=self.device) < draw.labeled,
        }

    def read(self, faces: Numbers) -> Tensor:
        """The images (B, 3, R, R) of a memory map, which reads rising rows fastest: gathered in order, and put back."""
        order = np.argsort(faces)
        images = np.empty((len(faces), *self.images.shape[1:]), dtype=np.uint8)
        images[order] = self.images[faces[order]]
        return torch.from_numpy(images)

    def placed(self, numbers: Numbers) -> Tensor:
        """On the device; a GPU is not waited for, since CUDA sets the numbers aside before it returns."""
        return torch.from_numpy(numbers).to(self.device, non_blocking=self.device.type == "cuda")


def copied(images: Images, device: torch.device) -> Tensor:
    """All images on a device; little of them is in this machine's memory at once."""
    copy = torch.empty(images.shape, dtype=torch.uint8, device=device)
    count = max(1, BYTES_AT_ONCE // images[:1].nbytes)
    for start in range(0, len(images), count):
        part = slice(start, start + count)
        copy[part] = torch.from_numpy(np.array(images[part]))
    return copy

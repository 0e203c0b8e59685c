"""Faces and their conditions as a data set of whole batches, read from disk or kept where they are learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from t2f.batches.batch import Batch
from t2f.batches.sampler import Draw, Numbers
from t2f.conditions.base import Conditioner
from t2f.data.faces import Faces, Images

CPU = torch.device("cpu")
SHARE_OF_MEMORY = 0.25
"""The most of a GPU's free memory that faces take by themselves: the rest is for what learns from them."""
FACES_AT_ONCE = 4096


class ConditionedFaces(Dataset[Batch]):
    """A `Draw` -> a batch, at once.

    `keep_on`: the device that all faces and conditions are copied to, and batches are made on; None: the faces are read
    where they are, as a rule in a memory map, and batches are made on the CPU. The batches are the same.
    """

    def __init__(
        self, faces: Faces, conditioner: Conditioner, mirror: bool, keep_on: torch.device | None = None
    ) -> None:
        conditions = conditioner.of(faces)
        self.counts, self.turns = conditions.counts, conditions.turns
        self.first = np.cumsum(self.counts) - self.counts
        self.mirror = mirror
        self.device = keep_on or CPU
        self.images = faces.images
        self.kept = None if keep_on is None else copied(faces.images, keep_on)
        self.rows = conditions.rows.to(self.device)
        self.attributes = self.on_device(np.array(faces.attributes))

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which faces have conditions, (N,)."""
        return self.counts > 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, draw: Draw) -> Batch:
        faces = self.on_device(draw.faces)
        chosen = self.first[draw.faces] + (draw.choice * self.counts[draw.faces]).astype(np.int64)
        chosen[draw.labelled :] = draw.choice[draw.labelled :] * len(self.turns)
        images = self.read(draw.faces) if self.kept is None else self.kept[faces]
        if self.mirror:
            images = self.replaced(images, images.flip(3), draw.mirror < 0.5)
        for turns in (1, 2, 3):
            turned = self.turns[chosen] == turns
            if turned.any():
                images = self.replaced(images, images.rot90(turns, (2, 3)), turned)
        return {
            "images": images,
            "conditions": self.rows[self.on_device(chosen)],
            "attributes": self.attributes[faces],
            "labelled": draw.labelled,
        }

    def read(self, faces: Numbers) -> Tensor:
        """The images (B, 3, R, R) of a memory map, which reads rising rows fastest: gathered in order, and put back."""
        order = np.argsort(faces)
        images = np.empty((len(faces), *self.images.shape[1:]), dtype=np.uint8)
        images[order] = self.images[faces[order]]
        return torch.from_numpy(images)

    def replaced(self, images: Tensor, others: Tensor, where: npt.NDArray[np.bool_]) -> Tensor:
        """The images (B, ...), but the other ones `where` (B,) says so."""
        return torch.where(self.on_device(where)[:, None, None, None], others, images)

    def on_device(self, numbers: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(numbers).to(self.device, non_blocking=True)


def copied(images: Images, device: torch.device) -> Tensor:
    """All images on a device, without a second copy of them in this machine's memory."""
    copy = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(images), FACES_AT_ONCE):
        part = slice(start, start + FACES_AT_ONCE)
        copy[part] = torch.from_numpy(np.array(images[part]))
    return copy


def fits(images: Images, device: torch.device) -> bool:
    """Whether a device is a GPU whose memory holds the images with ease."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes <= SHARE_OF_MEMORY * free

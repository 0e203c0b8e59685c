"""Faces with their conditions, as a dataset of whole batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from t2f.conditioning.base import Conditioner
from t2f.data.faces import Faces, Images
from t2f.training.batches.batch import Batch
from t2f.training.batches.sampler import BatchIndices, Indices

CPU = torch.device("cpu")
MAX_MEMORY_FRACTION = 0.25
"""Of a GPU's free memory for faces, if faces_on_device is auto; training needs the rest."""
BYTES_PER_COPY = 2**26


class ConditionedFaces(Dataset[Batch]):
    """Maps `BatchIndices` to a batch.

    By default, faces are read from their arrays, usually memory-mapped, and batches are made on the CPU. After
    `load_to`, faces and batches are on that device. Both give the same batches.

    Args:
        faces: Images, captions and attributes.
        conditioner: Computes the conditions of the faces.
        mirror: Whether to mirror half of the faces at random.
    """

    def __init__(self, faces: Faces, conditioner: Conditioner, mirror: bool) -> None:
        conditions = conditioner.conditions_of(faces)
        self.counts, self.rotation_k = conditions.counts, conditions.rotation_k
        self.first = np.cumsum(self.counts) - self.counts
        self.mirror = mirror
        self.device = CPU
        self.images = faces.images
        self.images_on_device: Tensor | None = None
        self.conditions = conditions.values
        self.attributes = torch.from_numpy(np.array(faces.attributes))

    def load_to(self, device: torch.device) -> None:
        """Copy all faces and conditions to a device, and make batches there."""
        self.images_on_device = copy_to(self.images, device)
        self.move_conditions(device)

    def release(self) -> None:
        """Free the copies."""
        self.images_on_device = None
        self.move_conditions(CPU)

    def move_conditions(self, device: torch.device) -> None:
        self.device = device
        self.conditions, self.attributes = self.conditions.to(device), self.attributes.to(device)

    def fits(self, device: torch.device) -> bool:
        """Return whether the device is a GPU, and all faces and conditions fit in a quarter of its free memory."""
        if device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # cached by PyTorch
        return self.images.nbytes + self.conditions.nbytes + self.attributes.nbytes <= MAX_MEMORY_FRACTION * free

    @property
    def labeled(self) -> npt.NDArray[np.bool_]:
        """bool (N,), whether a face has conditions."""
        return self.counts > 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: BatchIndices) -> Batch:
        faces = self.to_device(indices.faces)
        chosen = self.first[indices.faces] + (indices.choice * self.counts[indices.faces]).astype(np.int64)
        # Unlabeled faces get the condition of any face.
        chosen[indices.labeled :] = indices.choice[indices.labeled :] * len(self.rotation_k)
        images = self.read(indices.faces) if self.images_on_device is None else self.images_on_device[faces]
        if self.mirror:
            mirrored = self.to_device(np.flatnonzero(indices.mirror < 0.5))
            images[mirrored] = images[mirrored].flip(3)
        for rotation_k in (1, 2, 3):
            rotated = np.flatnonzero(self.rotation_k[chosen] == rotation_k)
            if len(rotated):
                index = self.to_device(rotated)
                images[index] = images[index].rot90(rotation_k, (2, 3))
        return {
            "images": images,
            "conditions": self.conditions[self.to_device(chosen)],
            "attributes": self.attributes[faces],
            "labeled": torch.arange(len(indices.faces), device=self.device) < indices.labeled,
        }

    def read(self, faces: Indices) -> Tensor:
        """Read images (B, 3, R, R) in ascending order of their indices, which is fastest in a memory map."""
        order = np.argsort(faces)
        images = np.empty((len(faces), *self.images.shape[1:]), dtype=np.uint8)
        images[order] = self.images[faces[order]]
        return torch.from_numpy(images)

    def to_device(self, indices: Indices) -> Tensor:
        """Copy indices to the device, without synchronizing with a GPU."""
        return torch.from_numpy(indices).to(self.device, non_blocking=self.device.type == "cuda")


def copy_to(images: Images, device: torch.device) -> Tensor:
    """Copy images to a device in parts, since they may exceed the main memory."""
    copy = torch.empty(images.shape, dtype=torch.uint8, device=device)
    count = max(1, BYTES_PER_COPY // images[:1].nbytes)
    for start in range(0, len(images), count):
        part = slice(start, start + count)
        copy[part] = torch.from_numpy(np.array(images[part]))
    return copy

"""All that it takes to draw, from a checkpoint of whatever origin."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from t2f.conditioning.base import Conditioner, load_conditioner, quoted, require_words, save_conditioner
from t2f.conditioning.conditional_generator import ConditionalGenerator
from t2f.inference.trust import build_ours
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.images import to_pil, to_uint8
from t2f.utils.instantiate import from_yaml
from t2f.utils.progress import track
from t2f.utils.unicode import well_formed

LARGEST_SEED = 2**63 - 1
MOST_TRUNCATION = 2.0
MANY = 500  # faces that take seconds to draw


class Pipeline:
    """The averaged networks of a checkpoint with their conditioner: all that it takes to draw.

    >>> from t2f import load
    >>> faces = load()
    >>> [face] = faces("a smiling woman")
    >>> face.size
    (64, 64)
    """

    def __init__(
        self,
        networks: ConditionalGenerator,
        conditioner: Conditioner,
        resolution: int,
        alpha: float,
        images_seen: int,
        config: str,
    ) -> None:
        """`config`: that of the training, as yaml."""
        self.networks = networks
        self.conditioner = conditioner
        self.resolution = resolution
        self.alpha = alpha
        self.images_seen = images_seen
        self.config = config

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__}: {self.resolution}x{self.resolution}, {self.conditioner.summary}, "
            f"{self.images_seen:,} images seen>"
        )

    @classmethod
    def load(cls, path: Path) -> Pipeline:
        """Read a checkpoint on the CPU."""
        checkpoint = read_checkpoint(path)
        weights = {
            name.removeprefix("ema."): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith("ema.")
        }
        return cls.from_card(checkpoint[CHECKPOINT_KEY], weights, path)

    @classmethod
    def from_card(cls, card: Mapping[str, Any], weights: Mapping[str, Tensor], path: Path) -> Pipeline:
        """The model that `card` tells of. Raises `UserError` if these weights, from `path`, are not its own."""
        try:
            config = from_yaml(card["config"])
            with torch.device("meta"), Undrawn():  # where sizes, which are at a file's word, take no memory
                build_networks(config).load_state_dict(weights, assign=True)
            networks = build_networks(config)
            networks.load_state_dict(weights)
            conditioner = load_conditioner(card["conditioner"])
            resolution, alpha, images_seen = (card[name] for name in ("resolution", "alpha", "images_seen"))
            if not (type(resolution) is type(images_seen) is int and isinstance(alpha, int | float)):
                raise ValueError(
                    "resolution and images_seen must be whole numbers and alpha a number, but are "
                    f"{resolution!r}, {images_seen!r} and {alpha!r}"
                )
            pipeline = cls(networks.eval(), conditioner, resolution, alpha, images_seen, card["config"])
            face = pipeline.draw([conditioner.example], pipeline.noise(1, seed=0))
            if face.shape[-1] != pipeline.resolution or not 0 <= pipeline.alpha <= 1:
                raise ValueError(
                    f"it does not draw at a resolution of {pipeline.resolution} and alpha {pipeline.alpha}"
                )
            if not face.isfinite().all():
                raise ValueError("it draws pixels that are not numbers")
        except UserError:
            raise
        except Exception as error:  # a file from anywhere can be wrong in any way
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(f"{path} holds a model that this version of t2f cannot build: {reason}") from error
        return pipeline

    @property
    def card(self) -> dict[str, Any]:
        """What `from_card` takes beside the weights; plain values."""
        return {
            "config": self.config,
            "conditioner": save_conditioner(self.conditioner),
            "resolution": self.resolution,
            "alpha": self.alpha,
            "images_seen": self.images_seen,
        }

    @property
    def noise_dim(self) -> int:
        return self.networks.noise_dim

    @property
    def device(self) -> torch.device:
        return next(self.networks.parameters()).device

    @torch.inference_mode()
    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Conditions (B, ...), noise (B, noise_dim) -> float images (B, 3, r, r), about [-1, 1]."""
        images: Tensor = self.networks(conditions, noise, self.resolution, self.alpha)
        return images

    def noise(self, count: int, seed: int, truncation: float = 1.0) -> Tensor:
        """Noise (count, noise_dim); a seed's k-th row is the same however many are asked for.

        `truncation` scales it: below 1, faces are nearer to the most typical one of their description, at 0 that one.
        """
        require(
            0 <= truncation <= MOST_TRUNCATION, f"truncation is {truncation}: it must be from 0 to {MOST_TRUNCATION}."
        )
        require(0 <= seed <= LARGEST_SEED, f"The seed is {seed}: it must be from 0 to {LARGEST_SEED}.")
        generator = torch.Generator().manual_seed(seed)
        return truncation * torch.stack([torch.randn(self.noise_dim, generator=generator) for _ in range(count)])

    @torch.inference_mode()
    def embed(self, descriptions: Sequence[str]) -> Tensor:
        """N descriptions -> embeddings (N, E): what the words mean to the generator."""
        embedding: Tensor = self.networks.encoder(self.conditioner(descriptions).to(self.device))
        return embedding

    @torch.inference_mode()
    def generate(self, embedding: Tensor, noise: Tensor, batch_size: int = 64) -> Tensor:
        """Embeddings (N, E) and noise (N, noise_dim) -> float images (N, 3, r, r), about [-1, 1], on the CPU."""
        images = []
        batches = zip(embedding.split(batch_size), noise.split(batch_size), strict=True)
        title, quiet = f"Drawing {len(noise):,} faces", len(noise) < MANY
        for words, z in track(batches, title, len(noise), batch_size, quiet):
            sample, _ = self.networks.generate(words.to(self.device), z.to(self.device), self.resolution, self.alpha)
            images.append(self.networks.generator.to_image(sample).cpu())
        return torch.cat(images)

    def draw(self, descriptions: Sequence[str], noise: Tensor) -> Tensor:
        """N descriptions and noise (N, noise_dim) -> float images (N, 3, r, r), about [-1, 1], on the CPU."""
        return self.generate(self.embed(descriptions), noise)

    def __call__(
        self, descriptions: str | Sequence[str], count: int = 1, seed: int = 0, truncation: float = 1.0
    ) -> list[Image.Image]:
        """`count` pictures for each description, one description after another; the k-th of each by the same noise.

        Warns of words that are ignored or read otherwise. Raises `UserError` for a description of which nothing is
        understood.
        """
        descriptions = [descriptions] if isinstance(descriptions, str) else descriptions
        descriptions = understood(descriptions, self.conditioner, lambda note: warnings.warn(note, stacklevel=4))
        require(bool(descriptions), "There is no description to draw: give at least one.")
        require(count >= 1, f"count is {count}: it must be at least 1.")
        captions = [description for description in descriptions for _ in range(count)]
        faces = self.draw(captions, self.noise(count, seed, truncation).repeat(len(descriptions), 1))
        return [to_pil(face) for face in to_uint8(faces)]


Tell = Callable[[str], None]


def understood(descriptions: Sequence[str], conditioner: Conditioner, tell: Tell = lambda note: None) -> list[str]:
    """Descriptions as the conditioner can read them; `tell` gets what their writer should know of them.

    Raises `UserError` for one that is empty, or of which nothing is understood.
    """
    read, refusals = understood_or_refused(descriptions, conditioner, tell)
    for refusal in refusals:
        raise refusal
    return read


def understood_or_refused(
    descriptions: Sequence[str], conditioner: Conditioner, tell: Tell
) -> tuple[list[str], list[UserError]]:
    """Descriptions that the conditioner can read, and why it cannot read the others.

    `tell` gets what their writers should know of them, with the description in front where there are several.
    """
    read, refusals = [], []
    for number, description in enumerate(map(well_formed, descriptions), start=1):
        try:
            require_words(description, number, conditioner.example)
            for note in conditioner.notes(description):
                tell(f"{quoted(description)}: {note}" if len(descriptions) > 1 else note)
            read.append(description)
        except UserError as refusal:
            refusals.append(refusal)
    return read, refusals


class Undrawn(TorchFunctionMode):
    """Leaves weights as they are allocated: to draw them on the meta device, torch would import for a second."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.randn, torch.rand):
            func = torch.empty
        elif getattr(func, "__name__", "") in ("normal_", "uniform_", "zero_", "fill_"):
            return args[0] if args else None
        return func(*args, **(kwargs or {}))


def build_networks(config: Any) -> ConditionalGenerator:
    """Build the drawing networks of a checkpoint's plain config, and nothing else."""
    networks = build_ours(config["model"]["networks"], ("t2f.conditioning", "t2f.networks", "t2f.text"), nn.Module)
    require(isinstance(networks, ConditionalGenerator), f"The checkpoint's networks are a {type(networks).__name__}.")
    assert isinstance(networks, ConditionalGenerator)
    return networks

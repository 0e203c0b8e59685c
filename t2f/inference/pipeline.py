"""The inference pipeline: descriptions to images, from a checkpoint that may be untrusted."""

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
from t2f.utils.errors import UserError, first_line, require
from t2f.utils.images import to_pil, to_uint8
from t2f.utils.instantiate import from_yaml
from t2f.utils.progress import track
from t2f.utils.unicode import well_formed

MAX_SEED = 2**63 - 1
MAX_TRUNCATION = 2.0
MIN_COUNT_FOR_PROGRESS = 500  # generating fewer images takes less than a few seconds

OnNote = Callable[[str], None]


class Pipeline:
    """Text-to-face pipeline: the EMA generator of a checkpoint with its text encoder and conditioner.

    >>> from t2f import load
    >>> pipe = load()
    >>> [image] = pipe("a smiling woman")
    >>> image.size
    (64, 64)

    Args:
        networks: the encoder and the generator.
        conditioner: maps descriptions to conditions.
        resolution: width and height of the generated images in pixels.
        alpha: fade-in weight of the newest resolution, in [0, 1].
        images_seen: number of training images that the discriminator had seen.
        config: the training config as YAML.
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
        """Load a checkpoint on the CPU.

        Raises:
            UserError: `path` is not a checkpoint that this version of t2f can load.
        """
        checkpoint = read_checkpoint(path)
        weights = {
            name.removeprefix("ema."): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith("ema.")
        }
        return cls.from_metadata(checkpoint[CHECKPOINT_KEY], weights, path)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], weights: Mapping[str, Tensor], path: Path) -> Pipeline:
        """Build a pipeline and generate one image with it as a check.

        Args:
            metadata: the values of `metadata`.
            weights: the state dict of the networks.
            path: the file that both were read from, for error messages.

        Raises:
            UserError: the metadata is invalid or does not match the weights.
        """
        try:
            config = from_yaml(metadata["config"])
            # Sizes in an untrusted config are compared with the weights before any memory is allocated for them.
            with torch.device("meta"), SkipInit():
                build_networks(config).load_state_dict(weights, assign=True)
            networks = build_networks(config)
            networks.load_state_dict(weights)
            conditioner = load_conditioner(metadata["conditioner"])
            resolution, alpha, images_seen = (metadata[name] for name in ("resolution", "alpha", "images_seen"))
            if not (type(resolution) is type(images_seen) is int and isinstance(alpha, int | float)):
                raise ValueError(
                    "resolution and images_seen must be integers and alpha a number, but are "
                    f"{resolution!r}, {images_seen!r} and {alpha!r}"
                )
            pipeline = cls(networks.eval(), conditioner, resolution, alpha, images_seen, metadata["config"])
            image = pipeline.generate_from_text([conditioner.example], pipeline.noise(1, seed=0))
            if image.shape[-1] != pipeline.resolution or not 0 <= pipeline.alpha <= 1:
                raise ValueError(
                    f"it cannot generate at a resolution of {pipeline.resolution} and alpha {pipeline.alpha}"
                )
            if not image.isfinite().all():
                raise ValueError("it generates pixels that are not finite numbers")
        except UserError:
            raise
        except Exception as error:  # an untrusted file can fail in any way
            raise UserError(
                f"{path} contains a model that this version of t2f cannot build: {first_line(error)}"
            ) from error
        return pipeline

    @property
    def metadata(self) -> dict[str, Any]:
        """Everything but the weights, as plain values for `from_metadata`."""
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

    def noise(self, count: int, seed: int, truncation: float = 1.0) -> Tensor:
        """Sample Gaussian noise on the CPU; row k depends on the seed and k only, not on `count`.

        Args:
            count: number of noise vectors.
            seed: an integer in [0, 2**63 - 1].
            truncation: factor in [0, 2] that scales the noise. Below 1, images are closer to the most typical one of
                their description.

        Returns:
            Float32 tensor (count, noise_dim).

        Raises:
            UserError: the seed or the truncation is out of range.
        """
        require(
            0 <= truncation <= MAX_TRUNCATION,
            f"The truncation must be from 0 to {MAX_TRUNCATION:g}, but is {truncation}.",
        )
        require(0 <= seed <= MAX_SEED, f"The seed must be from 0 to {MAX_SEED}, but is {seed}.")
        generator = torch.Generator().manual_seed(seed)
        return truncation * torch.stack([torch.randn(self.noise_dim, generator=generator) for _ in range(count)])

    @torch.inference_mode()
    def embed(self, descriptions: Sequence[str]) -> Tensor:
        """Encode N descriptions as embeddings (N, E), which can be interpolated before `generate`."""
        embedding: Tensor = self.networks.encoder(self.conditioner(descriptions).to(self.device))
        return embedding

    @torch.inference_mode()
    def generate(self, embedding: Tensor, noise: Tensor, batch_size: int = 64) -> Tensor:
        """Generate one image for each pair of an embedding and a noise vector.

        Args:
            embedding: float tensor (N, E).
            noise: float tensor (N, noise_dim).
            batch_size: number of images per forward pass.

        Returns:
            Float tensor (N, 3, resolution, resolution) on the CPU, about [-1, 1].
        """
        images = []
        batches = zip(embedding.split(batch_size), noise.split(batch_size), strict=True)
        title, quiet = f"Generating {len(noise):,} images", len(noise) < MIN_COUNT_FOR_PROGRESS
        for embedded, z in track(batches, title, len(noise), batch_size, quiet):
            sample, _ = self.networks.generate(embedded.to(self.device), z.to(self.device), self.resolution, self.alpha)
            images.append(self.networks.generator.to_image(sample).cpu())
        return torch.cat(images)

    def generate_from_text(self, descriptions: Sequence[str], noise: Tensor) -> Tensor:
        """Generate one image for each pair of a description and a noise vector.

        Args:
            descriptions: N descriptions.
            noise: float tensor (N, noise_dim).

        Returns:
            Float tensor (N, 3, resolution, resolution) on the CPU, about [-1, 1].
        """
        return self.generate(self.embed(descriptions), noise)

    @torch.inference_mode()
    def sample(self, conditions: Tensor, noise: Tensor) -> Tensor:
        """Generate one image for each row of conditions, in one forward pass.

        Args:
            conditions: output of the conditioner for N descriptions: (N, ...), int64 token ids or float32.
            noise: float tensor (N, noise_dim).

        Returns:
            Float tensor (N, 3, resolution, resolution), about [-1, 1].
        """
        images: Tensor = self.networks(conditions, noise, self.resolution, self.alpha)
        return images

    def __call__(
        self, descriptions: str | Sequence[str], count: int = 1, seed: int = 0, truncation: float = 1.0
    ) -> list[Image.Image]:
        """Generate images from descriptions. Words that the model ignores or replaces are reported as warnings.

        Args:
            descriptions: one description or several.
            count: number of images for each description.
            seed: seed of the noise. The k-th image of every description has the same noise vector.
            truncation: factor in [0, 2] that scales the noise; see `noise`.

        Returns:
            `count` images for the first description, then `count` for the second, and so on.

        Raises:
            UserError: a description is empty or has no known word, or another argument is out of range.
        """
        descriptions = [descriptions] if isinstance(descriptions, str) else descriptions
        descriptions = validate_descriptions(
            descriptions, self.conditioner, lambda note: warnings.warn(note, stacklevel=4)
        )
        require(bool(descriptions), "There is no description: give at least one.")
        require(count >= 1, f"count must be at least 1, but is {count}.")
        captions = [description for description in descriptions for _ in range(count)]
        noise = self.noise(count, seed, truncation).repeat(len(descriptions), 1)
        return [to_pil(image) for image in to_uint8(self.generate_from_text(captions, noise))]


def validate_descriptions(
    descriptions: Sequence[str], conditioner: Conditioner, on_note: OnNote = lambda note: None
) -> list[str]:
    """Check that the conditioner accepts all descriptions, and replace invalid Unicode in them.

    Args:
        descriptions: texts of any kind.
        conditioner: the conditioner of the model.
        on_note: called with every note about a description, such as a word that is ignored.

    Raises:
        UserError: a description is empty or has no known word.
    """
    valid, errors = filter_descriptions(descriptions, conditioner, on_note)
    if errors:
        raise errors[0]
    return valid


def filter_descriptions(
    descriptions: Sequence[str], conditioner: Conditioner, on_note: OnNote
) -> tuple[list[str], list[UserError]]:
    """Return the descriptions that `validate_descriptions` accepts, and an error for each of the others."""
    valid, errors = [], []
    for number, description in enumerate(map(well_formed, descriptions), start=1):
        try:
            require_words(description, number, conditioner.example)
            for note in conditioner.notes(description):
                on_note(f"{quoted(description)}: {note}" if len(descriptions) > 1 else note)
            valid.append(description)
        except UserError as error:
            errors.append(error)
    return valid, errors


class SkipInit(TorchFunctionMode):
    """Skip the random initialization of parameters: on the meta device, its first use costs torch a second."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.randn, torch.rand):
            func = torch.empty
        elif getattr(func, "__name__", "") in ("normal_", "uniform_", "zero_", "fill_"):
            return args[0] if args else None
        return func(*args, **(kwargs or {}))


def build_networks(config: Any) -> ConditionalGenerator:
    """Build the encoder and the generator of a checkpoint's plain config."""
    packages = ("t2f.conditioning", "t2f.networks", "t2f.text", "torch.nn.Identity")
    networks = build_ours(config["model"]["networks"], packages, nn.Module)
    require(
        isinstance(networks, ConditionalGenerator),
        f"The checkpoint's model.networks must be a ConditionalGenerator, but is a {type(networks).__name__}.",
    )
    assert isinstance(networks, ConditionalGenerator)
    return networks

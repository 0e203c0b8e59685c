"""The command `t2f interpolate`: an animation between two descriptions, or between two seeds as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from t2f.cli.edit import interpolate_embeddings
from t2f.cli.generate import describe_model, display_size, print_result, require_descriptions
from t2f.inference.load import load
from t2f.inference.pipeline import validate_descriptions
from t2f.utils.errors import require
from t2f.utils.extras import needs_extra
from t2f.utils.files import atomic_write
from t2f.utils.images import image_grid, to_uint8, write_gif
from t2f.utils.progress import print_note

FRAMES_PER_SECOND = 16


def interpolate(
    model: str,
    before: str,
    after: str,
    count: int,
    frames: int,
    seed: int,
    to_seed: int | None,
    truncation: float,
    out: Path,
) -> None:
    """Write an animation of faces that change from one description to another and back; see `t2f.cli.app.interpolate`.

    Raises:
        UserError: an argument is invalid, the model refuses a description, or the MP4 writer is not installed.
    """
    require_descriptions([before, after])
    suffix = out.suffix.lower()
    require(suffix in (".gif", ".mp4"), f"--out must be a .gif or an .mp4 file, but is {out}.")
    pipeline = load(model)
    first, last = validate_descriptions([before, after], pipeline.conditioner, print_note)
    start = pipeline.noise(count, seed, truncation)
    end = start if to_seed is None else pipeline.noise(count, to_seed, truncation)
    noise = torch.stack([slerp(start, end, frame / (frames - 1)) for frame in range(frames)])
    embedding = interpolate_embeddings(pipeline, first, last, frames).repeat_interleave(count, dim=0)
    faces = to_uint8(pipeline.generate(embedding, noise.flatten(0, 1))).unflatten(0, (frames, count))
    forward = [image_grid(each, count, display_size(faces)) for each in faces]
    images = [*forward, *forward[-2:0:-1]]
    with atomic_write(out, f"the animation {out}") as temporary:
        if suffix == ".gif":
            write_gif(images, temporary, 1000 // FRAMES_PER_SECOND)
        else:
            write_mp4(images, temporary)
    noun = "face" if count == 1 else "faces"
    print_result(f"{len(images)} frames of {count} {noun} written to {out}, generated with {describe_model(model)}")


def slerp(start: Tensor, end: Tensor, weight: float) -> Tensor:
    """Interpolate spherically between rows of noise (B, D), which preserves the norm of Gaussian noise.

    sin((1 - t) a) / sin(a) * start + sin(t a) / sin(a) * end, where a is the angle between them (Shoemake 1985).
    Nearly parallel rows are interpolated linearly.
    """
    cosine = torch.cosine_similarity(start, end, dim=1).clamp(-1, 1)[:, None]
    angle = cosine.arccos()
    parallel = angle.sin() < 1e-4
    spherical = ((1 - weight) * angle).sin() * start + (weight * angle).sin() * end
    return torch.where(parallel, torch.lerp(start, end, weight), spherical / angle.sin().clamp(min=1e-4))


def write_mp4(images: list[Image.Image], path: Path) -> None:
    """Write an MP4 with H.264."""
    with needs_extra("An .mp4, unlike a .gif,", "video"):
        import imageio.v3 as imageio
        import imageio_ffmpeg  # noqa: F401  # the backend of imageio
    even = [image.crop((0, 0, image.width // 2 * 2, image.height // 2 * 2)) for image in images]
    frames = np.stack([np.asarray(image) for image in even])
    video = imageio.imwrite(
        "<bytes>", frames, extension=".mp4", fps=FRAMES_PER_SECOND, codec="libx264", macro_block_size=2
    )
    path.write_bytes(video)

"""One face that becomes another, as a moving picture."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from t2f.cli.edit import between
from t2f.cli.generate import by, note, require_descriptions, shown_size, tell
from t2f.inference.load import load
from t2f.inference.pipeline import understood
from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command
from t2f.utils.files import atomic_write
from t2f.utils.images import image_grid, to_uint8

FRAMES_A_SECOND = 16


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
    """Draw `count` faces side by side that go from one description to the other and back, as a GIF or an MP4.

    With `to_seed` the persons change too, from one seed's to the other's.
    """
    require_descriptions([before, after])
    kind = out.suffix.lower()
    require(kind in (".gif", ".mp4"), f"--out must name a .gif or an .mp4 file, but is {out}.")
    pipeline = load(model)
    first, last = understood([before, after], pipeline.conditioner, note)
    noise = pipeline.noise(count, seed, truncation)
    ends = noise if to_seed is None else pipeline.noise(count, to_seed, truncation)
    path = torch.stack([slerp(noise, ends, share / (frames - 1)) for share in range(frames)])
    words = between(pipeline, first, last, frames).repeat_interleave(count, dim=0)
    faces = to_uint8(pipeline.generate(words, path.flatten(0, 1))).unflatten(0, (frames, count))
    there = [image_grid(each, count, shown_size(faces)) for each in faces]
    pictures = [*there, *there[-2:0:-1]]
    with atomic_write(out, f"the film {out}") as side:
        (write_gif if kind == ".gif" else write_mp4)(pictures, side)
    tell(
        f"{len(pictures)} frames of {count} {'face' if count == 1 else 'faces'} written to {out}, drawn by {by(model)}"
    )


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Noise (B, D) at a share of the way on the great circle between two: Gaussian noise keeps its length there.

    sin((1 - t) a) / sin(a) * start + sin(t a) / sin(a) * end, where a is the angle between them (Shoemake 1985).
    """
    cosine = torch.cosine_similarity(start, end, dim=1).clamp(-1, 1)[:, None]
    angle = cosine.arccos()
    straight = angle.sin() < 1e-4
    circle = ((1 - share) * angle).sin() * start + (share * angle).sin() * end
    return torch.where(straight, torch.lerp(start, end, share), circle / angle.sin().clamp(min=1e-4))


def write_gif(pictures: list[Image.Image], path: Path) -> None:
    """A looping GIF."""
    frames = [picture.convert("P", palette=Image.Palette.ADAPTIVE) for picture in pictures]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=1000 // FRAMES_A_SECOND, loop=0)


def write_mp4(pictures: list[Image.Image], path: Path) -> None:
    """An MP4 of H.264."""
    try:
        import imageio.v3 as imageio
        import imageio_ffmpeg  # noqa: F401  # what writes it
        import numpy as np
    except ModuleNotFoundError as error:
        raise UserError(
            f"An .mp4 needs imageio with ffmpeg: {install_command('video')} installs it; or name a .gif."
        ) from error
    even = [picture.crop((0, 0, picture.width // 2 * 2, picture.height // 2 * 2)) for picture in pictures]
    frames = np.stack([np.asarray(picture) for picture in even])
    film = imageio.imwrite(
        "<bytes>", frames, extension=".mp4", fps=FRAMES_A_SECOND, codec="libx264", macro_block_size=2
    )
    path.write_bytes(film)

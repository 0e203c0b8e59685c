"""The same persons, with other words: the noise is held, the description changes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from t2f.cli.generate import about, by, named, note, require_descriptions, shown_size, tell
from t2f.inference.load import load
from t2f.inference.pipeline import Pipeline, understood
from t2f.utils.errors import require
from t2f.utils.images import add_title, image_grid, save_png, to_uint8


def edit(model: str, before: str, after: str, count: int, steps: int, seed: int, truncation: float, out: Path) -> None:
    """Draw `count` persons, a row each, from the words of `before` in `steps` columns to those of `after`."""
    require_descriptions([before, after])
    require(out.suffix.lower() == ".png", f"--out must name a .png file, but is {out}.")
    pipeline = load(model)
    first, last = understood([before, after], pipeline.conditioner, note)
    noise = pipeline.noise(count, seed, truncation)
    words = between(pipeline, first, last, steps)
    faces = to_uint8(pipeline.generate(words.repeat(count, 1), noise.repeat_interleave(steps, dim=0)))
    sheet = add_title(f"{first}  ->  {last}", image_grid(faces, steps, shown_size(faces)))
    save_png(sheet, out, about([first, last], {"model": named(model), "seed": seed, "truncation": truncation}))
    tell(f"{count} edited faces, from left to right, written to {out}, drawn by {by(model)}")


def between(pipeline: Pipeline, before: str, after: str, steps: int) -> Tensor:
    """Embeddings (steps, E) on the straight line from one description's to the other's, both included."""
    start, end = pipeline.embed([before, after])
    shares = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return torch.lerp(start, end, shares)

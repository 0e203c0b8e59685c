"""The command `t2f edit`: fixed noise, changing description."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from t2f.cli.generate import (
    describe_model,
    display_size,
    model_name,
    png_text,
    print_result,
    require_descriptions,
)
from t2f.inference.load import load
from t2f.inference.pipeline import Pipeline, validate_descriptions
from t2f.utils.errors import require
from t2f.utils.images import add_title, image_grid, save_png, to_uint8
from t2f.utils.progress import print_note


def edit(model: str, before: str, after: str, count: int, steps: int, seed: int, truncation: float, out: Path) -> None:
    """Write a sheet of faces that change from one description to another; see `t2f.cli.app.edit`.

    Raises:
        UserError: an argument is invalid, or the model refuses a description.
    """
    require_descriptions([before, after])
    require(out.suffix.lower() == ".png", f"--out must be a .png file, but is {out}.")
    pipeline = load(model)
    first, last = validate_descriptions([before, after], pipeline.conditioner, print_note)
    noise = pipeline.noise(count, seed, truncation)
    embedding = interpolate_embeddings(pipeline, first, last, steps)
    images = to_uint8(pipeline.generate(embedding.repeat(count, 1), noise.repeat_interleave(steps, dim=0)))
    sheet = add_title(f"{first}  ->  {last}", image_grid(images, steps, display_size(images)))
    settings = {"model": model_name(model), "seed": seed, "truncation": truncation}
    save_png(sheet, out, png_text([first, last], settings))
    faces = "1 face" if count == 1 else f"{count} faces"
    print_result(f"{faces}, edited in {steps} steps, written to {out}, generated with {describe_model(model)}")


def interpolate_embeddings(pipeline: Pipeline, before: str, after: str, steps: int) -> Tensor:
    """Interpolate linearly between the embeddings of two descriptions, both included: (steps, E)."""
    start, end = pipeline.embed([before, after])
    weights = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return torch.lerp(start, end, weights)

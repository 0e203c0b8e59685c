"""Faces from descriptions, as a picture."""

from __future__ import annotations

from pathlib import Path

import torch
from rich.console import Console

from t2f.checkpoint import find_checkpoint
from t2f.errors import UserError
from t2f.painter import Painter
from t2f.pictures import captioned_sheet, save_png, to_uint8
from t2f.text.unicode import well_formed

FACE_SIZE = 128


def generate(checkpoint: Path, descriptions: list[str], count: int, seed: int, out: Path) -> None:
    """Draw `count` faces for each description into one picture, a row each, and say what was unclear."""
    if out.suffix.lower() != ".png":
        raise UserError(f"--out must name a .png file, but is {out}.")
    descriptions = [well_formed(description) for description in descriptions]
    checkpoint = find_checkpoint(checkpoint)
    painter = Painter.load(checkpoint)
    tell_what_is_unclear(painter, descriptions)
    # One noise vector for each column, so that a column shows what the words change.
    noise = torch.randn(count, painter.networks.noise_dim, generator=torch.Generator().manual_seed(seed))
    captions = [description for description in descriptions for _ in range(count)]
    faces = to_uint8(painter(captions, noise.repeat(len(descriptions), 1)))
    sheet = captioned_sheet(descriptions, faces.unflatten(0, (len(descriptions), count)), FACE_SIZE)
    save_png(sheet, out)
    many = "face" if len(faces) == 1 else "faces"
    Console().print(
        f"{len(faces)} {many} of {painter.resolution}x{painter.resolution} pixels written to {out}, by {checkpoint}",
        markup=False,
        soft_wrap=True,
    )


def tell_what_is_unclear(painter: Painter, descriptions: list[str]) -> None:
    """Name what the model never learnt; a description of nothing else is an error."""
    for number, description in enumerate(descriptions, start=1):
        if not description.strip():
            raise UserError(
                f"Description {number} is empty: write at least one word, such as 'a smiling woman with red hair'."
            )
        for note in painter.conditioner.notes(description):
            Console(stderr=True).print(f"note: {note}", style="yellow", markup=False)

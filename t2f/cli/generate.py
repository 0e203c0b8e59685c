"""Faces from descriptions, as one picture or a picture each."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.console import Console
from torch import Tensor

import t2f
from t2f.inference.load import PRETRAINED, find, holds_model, load
from t2f.inference.pipeline import understood_or_refused
from t2f.utils.errors import UserError, require
from t2f.utils.images import add_title, captioned_sheet, image_grid, save_png, to_pil, to_uint8
from t2f.utils.quoting import print_verbatim, shell_command

FACE_SIZE = 128


def generate(model: str, descriptions: list[str], count: int, seed: int, truncation: float, out: Path) -> None:
    """Draw `count` faces for each description: into one picture, if `out` is a .png, else as files in a folder.

    One description's faces fill a grid; those of several stand in rows, where a column has one noise vector, so that it
    shows what the words change. What was unclear is said. Descriptions that are not understood are left out, and raise
    `UserError` once the others are drawn.
    """
    require_descriptions(descriptions)
    require(out.suffix.lower() in (".png", ""), f"--out must name a .png file or a folder, but is {out}.")
    pipeline = load(model)
    descriptions, refusals = understood_or_refused(descriptions, pipeline.conditioner, note)
    if not descriptions:
        raise refusals[0]
    captions = [description for description in descriptions for _ in range(count)]
    faces = to_uint8(pipeline.draw(captions, pipeline.noise(count, seed, truncation).repeat(len(descriptions), 1)))
    settings = {"model": named(model), "seed": seed, "truncation": truncation}
    if out.suffix:
        sheet = sheet_of(descriptions, faces.unflatten(0, (len(descriptions), count)))
        save_png(sheet, out, about(descriptions, {**settings, "count": count}))
    else:
        save_each(captions, faces, count, settings, out)
    many = "face" if len(faces) == 1 else "faces"
    size = f"{pipeline.resolution}x{pipeline.resolution} pixels"
    tell(f"{len(faces)} {many} of {size} written to {out}, drawn by {by(model)}")
    if refusals:
        raise UserError(" ".join(["The others are drawn, but not these.", *map(str, refusals)]))


def sheet_of(descriptions: Sequence[str], faces: Tensor) -> Image.Image:
    """uint8 (descriptions, count, 3, r, r) -> a captioned grid of one description's faces, or a row for each."""
    if len(descriptions) > 1:
        return captioned_sheet(descriptions, faces, shown_size(faces))
    columns = min(8, max(3, math.ceil(math.sqrt(faces.shape[1]))), faces.shape[1])
    return add_title(descriptions[0], image_grid(faces[0], columns, shown_size(faces)))


def shown_size(faces: Tensor) -> int:
    """How wide faces (..., r, r) are shown: no smaller than they are drawn."""
    return max(FACE_SIZE, faces.shape[-1])


def save_each(captions: Sequence[str], faces: Tensor, count: int, settings: dict[str, object], out: Path) -> None:
    """A PNG for each face, as large as it was drawn, named by number and first words."""
    for number, (caption, face) in enumerate(zip(captions, faces, strict=True)):
        words = "-".join(re.findall(r"[a-z0-9]+", caption.lower()))[:40].strip("-")
        name = f"{number:04d}-{words}.png" if words else f"{number:04d}.png"
        save_png(to_pil(face), out / name, about([caption], {**settings, "face": number % count}))


def about(descriptions: Sequence[str], settings: dict[str, object]) -> dict[str, str]:
    """What a PNG tells of itself, under the keywords that its standard has."""
    return {
        "Description": "\n".join(descriptions),
        "Software": f"t2f {t2f.__version__}",
        "Comment": json.dumps(settings, ensure_ascii=False),
    }


def require_descriptions(descriptions: Sequence[str]) -> None:
    """Raise `UserError` where what looks like a description is a model: that has an option of its own."""
    require(bool(descriptions), 'Say what to draw, in quotes: t2f generate "a smiling woman with long red hair".')
    for description in descriptions:
        if is_model(description):
            raise UserError(
                f"{description} is a model, not a description: name it by {shell_command('--model', description)}."
            )


def is_model(words: str) -> bool:
    """Whether this is the path of a checkpoint, or of a folder with a model."""
    path = Path(words)
    try:
        return (path.is_file() and path.suffix == ".ckpt") or (path.is_dir() and holds_model(path))
    except (OSError, ValueError):  # no possible name of a file
        return False


def named(model: str) -> str:
    """A model's name for others to read: of a place on this machine, only the last part."""
    path = Path(model)
    return path.resolve().name if path.exists() else model


def by(model: str) -> str:
    """The model's name in a sentence; of a folder of runs, the checkpoint that `load` takes."""
    if model == PRETRAINED:
        return "the model that comes with t2f"
    place = find(model) if Path(model).is_dir() else Path(model)
    return f"{place}, the newest in {model}" if place.is_file() and place != Path(model) else model


def note(what: str) -> None:
    """Something that the writer of a description should know."""
    Console(stderr=True).print(f"note: {what}", style="yellow", markup=False)


def tell(what: str) -> None:
    """What was done."""
    print_verbatim(what, Console())

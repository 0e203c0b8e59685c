"""The command `t2f generate`, and helpers that other commands share."""

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
from t2f.inference.load import INCLUDED, PRETRAINED, find, holds_model, load
from t2f.inference.pipeline import filter_descriptions
from t2f.utils.errors import UserError, require
from t2f.utils.images import add_title, captioned_sheet, image_grid, save_png, to_pil, to_uint8
from t2f.utils.progress import print_note
from t2f.utils.quoting import print_verbatim, shell_command

FACE_SIZE = 128


def generate(model: str, descriptions: list[str], count: int, seed: int, truncation: float, out: Path) -> None:
    """Generate images from descriptions and write them; see `t2f.cli.app.generate`.

    Raises:
        UserError: an argument is invalid, or the model refuses a description. In the second case, the images of the
            other descriptions are written first.
    """
    require_descriptions(descriptions)
    require(out.suffix.lower() in (".png", ""), f"--out must be a .png file or a folder, but is {out}.")
    pipeline = load(model)
    descriptions, errors = filter_descriptions(descriptions, pipeline.conditioner, print_note)
    if not descriptions:
        raise errors[0]
    captions = [description for description in descriptions for _ in range(count)]
    noise = pipeline.noise(count, seed, truncation).repeat(len(descriptions), 1)
    images = to_uint8(pipeline.generate_from_text(captions, noise))
    settings = {"model": model_name(model), "seed": seed, "truncation": truncation}
    if out.suffix:
        sheet = build_sheet(descriptions, images.unflatten(0, (len(descriptions), count)))
        save_png(sheet, out, png_text(descriptions, {**settings, "count": count}))
    else:
        save_images(captions, images, count, settings, out)
    noun = "face" if len(images) == 1 else "faces"
    size = f"{pipeline.resolution}x{pipeline.resolution} pixels"
    print_result(f"{len(images)} {noun} of {size} written to {out}, generated with {describe_model(model)}")
    if errors:
        raise UserError(" ".join(["The other descriptions are done, but some were refused.", *map(str, errors)]))


def build_sheet(descriptions: Sequence[str], images: Tensor) -> Image.Image:
    """uint8 (descriptions, count, 3, r, r) -> a grid with a title for one description, or a row for each of several."""
    if len(descriptions) > 1:
        return captioned_sheet(descriptions, images, display_size(images))
    columns = min(8, max(3, math.ceil(math.sqrt(images.shape[1]))), images.shape[1])
    return add_title(descriptions[0], image_grid(images[0], columns, display_size(images)))


def display_size(images: Tensor) -> int:
    """Width in pixels at which images (..., r, r) are shown; never below their resolution."""
    return max(FACE_SIZE, images.shape[-1])


def save_images(captions: Sequence[str], images: Tensor, count: int, settings: dict[str, object], out: Path) -> None:
    """Write a PNG for each image at its resolution; its name has its number and the start of its caption."""
    for number, (caption, image) in enumerate(zip(captions, images, strict=True)):
        slug = "-".join(re.findall(r"[a-z0-9]+", caption.lower()))[:40].strip("-")
        name = f"{number:04d}-{slug}.png" if slug else f"{number:04d}.png"
        save_png(to_pil(image), out / name, png_text([caption], {**settings, "face": number % count}))


def png_text(descriptions: Sequence[str], settings: dict[str, object]) -> dict[str, str]:
    """Return text chunks for a PNG under the standard's keywords."""
    return {
        "Description": "\n".join(descriptions),
        "Software": f"t2f {t2f.__version__}",
        "Comment": json.dumps(settings, ensure_ascii=False),
    }


def require_descriptions(descriptions: Sequence[str]) -> None:
    """Raise `UserError` if there is no description, or if one is the path of a model, which belongs to --model."""
    require(bool(descriptions), 'Give a description in quotes: t2f generate "a smiling woman with long red hair".')
    for description in descriptions:
        if is_model(description):
            raise UserError(
                f"{description} is a model, not a description: pass it as {shell_command('--model', description)}."
            )


def is_model(text: str) -> bool:
    """Return whether a text is the path of a checkpoint, or of a folder with a model."""
    path = Path(text)
    try:
        return (path.is_file() and path.suffix == ".ckpt") or (path.is_dir() and holds_model(path))
    except (OSError, ValueError):  # not a valid path
        return False


def model_name(model: str) -> str:
    """Return a name of the model that can be published: only the last part of a path."""
    path = Path(model)
    return path.resolve().name if path.exists() else model


def describe_model(model: str) -> str:
    """Return the model as a phrase; for a folder of runs, it names the checkpoint that `load` chooses."""
    if model in INCLUDED:
        return "the pretrained model" if model == PRETRAINED else f"the included model {model}"
    path = find(model) if Path(model).is_dir() else Path(model)
    return f"{path}, the newest checkpoint in {model}" if path.is_file() and path != Path(model) else model


def print_result(line: str) -> None:
    print_verbatim(line, Console())

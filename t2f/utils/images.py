"""Pictures at the edges: uint8 to float and back, sheets with captions, the time-lapse."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from t2f.utils.files import atomic_write

GAP = 4
FONT_SIZE = 13
CAPTION_WIDTH = 250


def to_float(images: Tensor) -> Tensor:
    """uint8 [0, 255] -> float32 [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Float, about [-1, 1] -> uint8 [0, 255], rounded and clamped."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def perturbed(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Shift a batch (B, 3, R, R) by up to two pixels and add noise, so that a network relies less on fine details.

    The random numbers are generated on the CPU.
    """
    shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return images.roll(tuple(shift), dims=(2, 3)) + 0.1 * noise


def to_pil(image: Tensor, size: int | None = None) -> Image.Image:
    """uint8 (3, H, W) -> picture, enlarged to `size` pixels by whole pixels so that none is invented."""
    picture = Image.fromarray(image.permute(1, 2, 0).cpu().contiguous().numpy())
    return picture if size is None else picture.resize((size, size), Image.Resampling.NEAREST)


def captioned_sheet(
    captions: Sequence[str], images: Tensor, face_size: int, headings: Sequence[str] | None = None
) -> Image.Image:
    """One row a caption: its words, then its faces. `images`: uint8 (captions, columns, 3, r, r).

    `headings`, if given, name the columns.
    """
    rows, columns = images.shape[:2]
    top = FONT_SIZE + 2 * GAP if headings else GAP
    row_height = face_size + GAP
    sheet = Image.new("RGB", (CAPTION_WIDTH + columns * (face_size + GAP) + GAP, top + rows * row_height), "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    line_height = FONT_SIZE + 2
    for column, heading in enumerate(headings or []):
        pen.text((CAPTION_WIDTH + column * (face_size + GAP), GAP // 2), heading, fill="gray", font=font)
    for row, caption in enumerate(captions):
        lines = textwrap.wrap(caption, 34, max_lines=max(1, face_size // line_height), placeholder=" ...")
        y = top + row * row_height + max(0, (face_size - len(lines) * line_height) // 2)
        pen.multiline_text((GAP * 2, y), "\n".join(lines), fill="black", font=font, spacing=2)
        for column in range(columns):
            place = (CAPTION_WIDTH + column * (face_size + GAP), top + row * row_height)
            sheet.paste(to_pil(images[row, column], face_size), place)
    return sheet


def tiled(images: Tensor, columns: int, face_size: int) -> Image.Image:
    """uint8 (N, 3, r, r) -> a picture of rows of so many faces, each `face_size` pixels wide."""
    step = face_size + GAP
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * step + GAP, rows * step + GAP), "white")
    for number, image in enumerate(images):
        place = (GAP + number % columns * step, GAP + number // columns * step)
        sheet.paste(to_pil(image, face_size), place)
    return sheet


def titled(title: str, picture: Image.Image) -> Image.Image:
    """The picture with up to four lines of text above."""
    font = ImageFont.load_default(FONT_SIZE)
    letters = max(8, int(picture.width / (FONT_SIZE * 0.55)))
    lines = textwrap.wrap(title, letters, max_lines=4, placeholder=" ...")
    top = len(lines) * (FONT_SIZE + 4) + 2 * GAP
    whole = Image.new("RGB", (picture.width, picture.height + top), "white")
    ImageDraw.Draw(whole).multiline_text((2 * GAP, GAP), "\n".join(lines), fill="black", font=font, spacing=4)
    whole.paste(picture, (0, top))
    return whole


def save_png(picture: Image.Image, path: Path, about: Mapping[str, str] | None = None) -> None:
    """Write a PNG; `about`: see `png`."""
    content = png(picture, about)
    with atomic_write(path, f"the picture {path}") as side:
        side.write_bytes(content)


def png(picture: Image.Image, about: Mapping[str, str] | None = None) -> bytes:
    """A PNG's content; `about` becomes text in it, under such of PNG's keywords as Description."""
    texts = PngInfo()
    for keyword, text in (about or {}).items():
        texts.add_itxt(keyword, text)
    content = BytesIO()
    picture.save(content, format="PNG", optimize=True, pnginfo=texts)
    return content.getvalue()


def save_time_lapse(frames: Sequence[Path], path: Path, seconds: float = 8.0) -> None:
    """Write pictures as a looping GIF of `seconds`, at most 100 frames, the last one held for two seconds more."""
    spread = {round(number * (len(frames) - 1) / 99) for number in range(100)}
    pictures = []
    for number in sorted(spread):
        with Image.open(frames[number]) as frame:
            pictures.append(frame.convert("P", palette=Image.Palette.ADAPTIVE))
    durations = [int(1000 * seconds / len(pictures))] * len(pictures)
    durations[-1] += 2000
    with atomic_write(path, f"the picture {path}") as side:
        pictures[0].save(side, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)

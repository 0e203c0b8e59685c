"""Image conversion, grids of images with captions, PNG and GIF files."""

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
"""Pixels between the images of a grid."""
FONT_SIZE = 13
CAPTION_WIDTH = 250
"""Pixels that a caption may take beside its images."""
MAX_FRAMES = 100


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 images in [0, 255] to float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Convert floating-point images in [-1, 1] to uint8 in [0, 255], rounded; values outside the range are clamped."""
    return images.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def perturbed(images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Augment a batch so that a network relies less on fine details.

    Args:
        images: Floating-point images in [-1, 1], (B, 3, R, R).
        generator: CPU generator of the random numbers.

    Returns:
        The images, all shifted cyclically by the same offset of up to two pixels, plus Gaussian noise of standard
        deviation 0.1. Shape and device are those of `images`.
    """
    shift = torch.randint(-2, 3, (2,), generator=generator).tolist()
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    return images.roll(tuple(shift), dims=(2, 3)) + 0.1 * noise


def to_pil(image: Tensor, size: int | None = None) -> Image.Image:
    """Convert a tensor to a PIL image.

    Args:
        image: uint8 (3, H, W).
        size: Width and height of the result in pixels, by nearest-neighbor interpolation; None keeps the size.
    """
    pil_image = Image.fromarray(image.permute(1, 2, 0).cpu().contiguous().numpy())
    return pil_image if size is None else pil_image.resize((size, size), Image.Resampling.NEAREST)


def captioned_sheet(
    captions: Sequence[str], images: Tensor, face_size: int, headings: Sequence[str] | None = None
) -> Image.Image:
    """Arrange images in rows, each beside its caption.

    Args:
        captions: One caption for each row. Captions that are too long for their row are cut.
        images: uint8 (rows, columns, 3, R, R).
        face_size: Width and height of an image in the sheet, in pixels.
        headings: Titles of the columns.
    """
    rows, columns = images.shape[:2]
    top = FONT_SIZE + 2 * GAP if headings else GAP
    step = face_size + GAP
    sheet = Image.new("RGB", (CAPTION_WIDTH + columns * step + GAP, top + rows * step), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(FONT_SIZE)
    line_height = FONT_SIZE + 2
    for column, heading in enumerate(headings or []):
        draw.text((CAPTION_WIDTH + column * step, GAP // 2), heading, fill="gray", font=font)
    for row, caption in enumerate(captions):
        lines = textwrap.wrap(caption, 34, max_lines=max(1, face_size // line_height), placeholder=" ...")
        y = top + row * step + max(0, (face_size - len(lines) * line_height) // 2)
        draw.multiline_text((GAP * 2, y), "\n".join(lines), fill="black", font=font, spacing=2)
        for column in range(columns):
            sheet.paste(to_pil(images[row, column], face_size), (CAPTION_WIDTH + column * step, top + row * step))
    return sheet


def image_grid(images: Tensor, columns: int, face_size: int) -> Image.Image:
    """Arrange images in rows.

    Args:
        images: uint8 (N, 3, R, R).
        columns: Images in a row.
        face_size: Width and height of an image in the grid, in pixels.
    """
    step = face_size + GAP
    rows = -(-len(images) // columns)
    grid = Image.new("RGB", (columns * step + GAP, rows * step + GAP), "white")
    for index, image in enumerate(images):
        grid.paste(to_pil(image, face_size), (GAP + index % columns * step, GAP + index // columns * step))
    return grid


def add_title(title: str, image: Image.Image) -> Image.Image:
    """Add up to four lines of text above an image; a longer title is cut."""
    font = ImageFont.load_default(FONT_SIZE)
    characters = max(8, int(image.width / (FONT_SIZE * 0.55)))
    lines = textwrap.wrap(title, characters, max_lines=4, placeholder=" ...")
    top = len(lines) * (FONT_SIZE + 4) + 2 * GAP
    titled = Image.new("RGB", (image.width, image.height + top), "white")
    ImageDraw.Draw(titled).multiline_text((2 * GAP, GAP), "\n".join(lines), fill="black", font=font, spacing=4)
    titled.paste(image, (0, top))
    return titled


def save_png(image: Image.Image, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a PNG file atomically.

    Args:
        image: The image.
        path: The file. Its folder is created if it is missing.
        metadata: Text by PNG keyword, such as Description.

    Raises:
        UserError: If the file cannot be written.
    """
    content = png(image, metadata)
    with atomic_write(path, f"the image {path}") as temporary:
        temporary.write_bytes(content)


def png(image: Image.Image, metadata: Mapping[str, str] | None = None) -> bytes:
    """Encode an image as PNG, with text by PNG keyword, such as Description."""
    info = PngInfo()
    for keyword, text in (metadata or {}).items():
        info.add_itxt(keyword, text)
    content = BytesIO()
    image.save(content, format="PNG", optimize=True, pnginfo=info)
    return content.getvalue()


def save_time_lapse(frames: Sequence[Path], path: Path, seconds: float = 8.0) -> None:
    """Write image files as a looping GIF.

    Args:
        frames: Image files in order. At most 100 of them are shown, evenly spaced.
        path: The GIF file.
        seconds: Duration of one loop. The last frame is shown for two seconds more.

    Raises:
        UserError: If the file cannot be written.
    """
    indices = {round(number * (len(frames) - 1) / (MAX_FRAMES - 1)) for number in range(MAX_FRAMES)}
    images = []
    for index in sorted(indices):
        with Image.open(frames[index]) as frame:
            images.append(frame.copy())
    durations = [int(1000 * seconds / len(images))] * len(images)
    durations[-1] += 2000
    with atomic_write(path, f"the image {path}") as temporary:
        write_gif(images, temporary, durations)


def write_gif(images: Sequence[Image.Image], path: Path, durations: int | list[int]) -> None:
    """Write a looping GIF. Durations are in milliseconds, one for each image or one for all."""
    first, *others = (image.convert("P", palette=Image.Palette.ADAPTIVE) for image in images)
    first.save(path, "GIF", save_all=True, append_images=others, duration=durations, loop=0)

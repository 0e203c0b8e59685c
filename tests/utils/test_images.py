import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from t2f.utils.errors import UserError
from t2f.utils.images import add_title, captioned_sheet, save_png, save_time_lapse, to_float, to_pil, to_uint8

COLORS = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 199]], dtype=torch.uint8)


def constant_image(color: Tensor, size: int = 4) -> Tensor:
    return color[:, None, None].expand(3, size, size)


def test_to_uint8_inverts_to_float() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(values)), values)


def test_to_float_maps_to_the_range_from_minus_one_to_one() -> None:
    floats = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    assert floats.dtype == torch.float32
    torch.testing.assert_close(floats, torch.tensor([-1.0, -0.6, 1.0]))


def test_to_float_does_not_change_its_input() -> None:
    values = torch.tensor([0, 255], dtype=torch.uint8)
    to_float(values)
    assert values.tolist() == [0, 255]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_to_uint8_clamps(dtype: torch.dtype) -> None:
    floats = torch.tensor([-9.0, -1.0, 1.0, 1.01, 9.0], dtype=dtype)
    assert to_uint8(floats).tolist() == [0, 0, 255, 255, 255]


def test_to_uint8_rounds() -> None:
    levels = torch.tensor([10.4, 10.6, 99.9])
    assert to_uint8(levels / 127.5 - 1).tolist() == [10, 11, 100]


def test_to_pil_keeps_the_position_of_pixels() -> None:
    image = torch.arange(3 * 2 * 4, dtype=torch.uint8).reshape(3, 2, 4)
    pil_image = to_pil(image)
    assert pil_image.size == (4, 2)
    assert pil_image.getpixel((3, 1)) == tuple(image[:, 1, 3].tolist())


def test_to_pil_enlarges_by_nearest_neighbor() -> None:
    image = (
        torch.stack([constant_image(COLORS[0], 1), constant_image(COLORS[1], 1)], dim=2)
        .reshape(3, 1, 2)
        .expand(3, 2, 2)
    )
    pil_image = to_pil(image, 8)
    assert pil_image.size == (8, 8)
    for x in range(8):
        for y in range(8):
            assert pil_image.getpixel((x, y)) == tuple(COLORS[int(x >= 4)].tolist())


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 3)])
def test_the_sheet_shows_each_image_completely_in_the_row_of_its_caption(rows: int, columns: int) -> None:
    images = torch.zeros(rows, columns, 3, 4, 4, dtype=torch.uint8)
    for row in range(rows):
        for column in range(columns):
            images[row, column] = constant_image(torch.tensor([200 + row, 100 + column, 50], dtype=torch.uint8))
    sheet = captioned_sheet(["a smiling woman"] * rows, images, face_size=20)
    tops: dict[Any, tuple[int, int]] = {}
    counts: dict[Any, int] = {}
    for y in range(sheet.height):
        for x in range(sheet.width):
            color = sheet.getpixel((x, y))
            tops.setdefault(color, (x, y))
            counts[color] = counts.get(color, 0) + 1
    for row in range(rows):
        for column in range(columns):
            color = (200 + row, 100 + column, 50)
            assert counts[color] == 20 * 20
            assert tops[color][0] - tops[200, 100, 50][0] == column * 24  # the image and a gap of four
            assert tops[color][1] - tops[200, 100, 50][1] == row * 24


def test_each_row_and_column_adds_an_image_and_a_gap() -> None:
    def size(rows: int, columns: int) -> tuple[int, int]:
        return captioned_sheet(["a"] * rows, torch.zeros(rows, columns, 3, 4, 4, dtype=torch.uint8), 30).size

    width, height = size(1, 1)
    assert size(3, 1) == (width, height + 2 * 34)
    assert size(1, 4) == (width + 3 * 34, height)


def test_captions_are_beside_the_images_and_headings_above() -> None:
    images = torch.full((1, 2, 3, 4, 4), 255, dtype=torch.uint8)
    bare = captioned_sheet([""], images, 40)
    assert bare.getcolors() == [(bare.width * bare.height, (255, 255, 255))]
    captioned = captioned_sheet(["a man"], images, 40)
    ink = captioned.convert("L").point(lambda value: 255 - value).getbbox()
    assert ink is not None
    assert ink[2] < captioned.width - 2 * 44
    headed = captioned_sheet([""], images, 40, ["real", "generated"])
    ink = headed.convert("L").point(lambda value: 255 - value).getbbox()
    assert ink is not None
    assert headed.height > bare.height
    assert ink[3] <= headed.height - 44


def test_a_long_caption_is_cut_to_its_row() -> None:
    images = torch.full((2, 1, 3, 4, 4), 255, dtype=torch.uint8)
    sheet = captioned_sheet(["a smiling woman with red hair and glasses " * 20, ""], images, 40)
    ink = sheet.convert("L").point(lambda value: 255 - value).getbbox()
    assert ink is not None
    assert ink[2] <= sheet.width - 44
    assert ink[3] <= sheet.height - 44


def test_a_long_title_ends_in_an_ellipsis() -> None:
    image = Image.new("RGB", (128, 128))
    short, cut, longer = (add_title("face " * words, image) for words in (3, 40, 4000))
    assert short.height < cut.height == longer.height
    assert cut.tobytes() == longer.tobytes() == add_title(f"{'face ' * 11}...", image).tobytes()


def test_save_png_writes_one_file(tmp_path: Path) -> None:
    image = to_pil(constant_image(COLORS[3]))
    save_png(image, tmp_path / "new" / "face.png")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["face.png"]
    assert Image.open(tmp_path / "new" / "face.png").tobytes() == image.tobytes()


def test_a_full_disk_keeps_the_old_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "face.png"
    save_png(to_pil(constant_image(COLORS[0])), path)
    old = path.read_bytes()

    def write_half(self: Path, content: bytes) -> None:
        self.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(UserError, match=r"disk is full, so .*face\.png"):
        save_png(to_pil(constant_image(COLORS[1])), path)
    assert path.read_bytes() == old


@pytest.mark.parametrize("count", [1, 4])
def test_the_time_lapse_shows_all_frames_in_order(tmp_path: Path, count: int) -> None:
    frames = [tmp_path / f"{i}.png" for i in range(count)]
    for frame, color in zip(frames, COLORS, strict=False):
        save_png(to_pil(constant_image(color)), frame)
    save_time_lapse(frames, tmp_path / "growth.gif", seconds=4.0)
    with Image.open(tmp_path / "growth.gif") as gif:
        assert gif.n_frames == count
        for i in range(count):
            gif.seek(i)
            assert gif.convert("RGB").getpixel((1, 1)) == tuple(COLORS[i].tolist())


def test_the_time_lapse_loops_and_shows_its_last_frame_for_two_more_seconds(tmp_path: Path) -> None:
    frames = [tmp_path / f"{i}.png" for i in range(4)]
    for frame, color in zip(frames, COLORS, strict=True):
        save_png(to_pil(constant_image(color)), frame)
    save_time_lapse(frames, tmp_path / "growth.gif", seconds=4.0)
    with Image.open(tmp_path / "growth.gif") as gif:
        assert gif.info["loop"] == 0
        durations = []
        for i in range(4):
            gif.seek(i)
            durations.append(gif.info["duration"])
    assert durations == [1000, 1000, 1000, 3000]

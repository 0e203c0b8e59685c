from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from t2f.cli.edit import edit, interpolate_embeddings
from t2f.cli.generate import generate
from t2f.inference.load import load
from t2f.utils.errors import UserError


def cell(file: Path, row: int, column: int) -> np.ndarray:
    sheet = Image.open(file)
    title = sheet.height % 132 - 4
    left, top = 4 + 132 * column, 4 + title + 132 * row
    return np.asarray(sheet.crop((left, top, left + 128, top + 128))).astype(int)


def assert_equal_images(first: np.ndarray, second: np.ndarray) -> None:
    """Allow a difference of one level, because batch sizes and interpolation change the rounding."""
    assert np.abs(first - second).max() <= 1


def test_a_row_interpolates_between_descriptions_with_one_noise_vector(model: str, tmp_path: Path) -> None:
    edit(model, "a man", "a smiling woman", 3, 4, 5, 1.0, tmp_path / "edit.png")
    assert Image.open(tmp_path / "edit.png").width == 4 * 132 + 4
    generate(model, ["a man"], 3, 5, 1.0, tmp_path / "before.png")
    generate(model, ["a smiling woman"], 3, 5, 1.0, tmp_path / "after.png")
    for row in range(3):
        assert_equal_images(cell(tmp_path / "edit.png", row, 0), cell(tmp_path / "before.png", 0, row))
        assert_equal_images(cell(tmp_path / "edit.png", row, 3), cell(tmp_path / "after.png", 0, row))
    first, last = (cell(tmp_path / "edit.png", 0, column) for column in (0, 3))
    assert np.abs(first - last).max() > 1
    assert Image.open(tmp_path / "edit.png").text["Description"] == "a man\na smiling woman"


def test_embeddings_are_interpolated_linearly(model: str) -> None:
    pipeline = load(model)
    embeddings = interpolate_embeddings(pipeline, "a man", "a woman", 5)
    start, end = pipeline.embed(["a man", "a woman"])
    torch.testing.assert_close(embeddings, torch.stack([start + step / 4 * (end - start) for step in range(5)]))


def test_another_file_type_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--out must be a \.png file"):
        edit(model, "a man", "a woman", 1, 2, 0, 1.0, tmp_path / "edit.gif")

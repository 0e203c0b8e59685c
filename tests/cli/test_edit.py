from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from t2f.cli.edit import between, edit
from t2f.cli.generate import generate
from t2f.inference.load import load
from t2f.utils.errors import UserError


def cell(file: Path, row: int, column: int, top: int = 0) -> np.ndarray:
    sheet = Image.open(file)
    above = sheet.height % 132 - 4 if top == 0 else top
    place = (4 + 132 * column, 4 + above + 132 * row)
    return np.asarray(sheet.crop((*place, place[0] + 128, place[1] + 128))).astype(int)


def assert_alike(one: np.ndarray, other: np.ndarray) -> None:
    """Batches of other sizes, and embeddings that were added up otherwise, may round to the next of 256 values."""
    assert np.abs(one - other).max() <= 1


def test_a_row_goes_from_one_description_to_the_other_with_one_noise(model: str, tmp_path: Path) -> None:
    edit(model, "a man", "a smiling woman", 3, 4, 5, 1.0, tmp_path / "edit.png")
    assert Image.open(tmp_path / "edit.png").width == 4 * 132 + 4
    generate(model, ["a man"], 3, 5, 1.0, tmp_path / "before.png")
    generate(model, ["a smiling woman"], 3, 5, 1.0, tmp_path / "after.png")
    for person in range(3):
        assert_alike(cell(tmp_path / "edit.png", person, 0), cell(tmp_path / "before.png", 0, person))
        assert_alike(cell(tmp_path / "edit.png", person, 3), cell(tmp_path / "after.png", 0, person))
    first, last = (cell(tmp_path / "edit.png", 0, column) for column in (0, 3))
    assert np.abs(first - last).max() > 1
    assert Image.open(tmp_path / "edit.png").text["Description"] == "a man\na smiling woman"


def test_the_words_in_between_are_on_a_straight_line(model: str) -> None:
    pipeline = load(model)
    line = between(pipeline, "a man", "a woman", 5)
    start, end = pipeline.embed(["a man", "a woman"])
    torch.testing.assert_close(line, torch.stack([start + share / 4 * (end - start) for share in range(5)]))


def test_another_kind_of_file_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"must name a \.png file"):
        edit(model, "a man", "a woman", 1, 2, 0, 1.0, tmp_path / "edit.gif")

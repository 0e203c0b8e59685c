import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from t2f.cli.interpolate import interpolate, slerp
from t2f.utils.errors import UserError


def test_slerp_moves_by_equal_angles_and_keeps_the_norm() -> None:
    start, end = torch.tensor([[1.0, 0.0], [2.0, 0.0]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    third = slerp(start, end, 1 / 3)
    torch.testing.assert_close(third[0], torch.tensor([math.cos(math.pi / 6), math.sin(math.pi / 6)]))
    torch.testing.assert_close(third[1], end[1])  # equal ends
    torch.testing.assert_close(slerp(start, end, 0.0), start)
    torch.testing.assert_close(slerp(start, end, 1.0), end)


def test_a_gif_plays_forwards_and_backwards(model: str, tmp_path: Path) -> None:
    interpolate(model, "a man", "a woman", 2, 6, 0, 1, 1.0, tmp_path / "faces.gif")
    with Image.open(tmp_path / "faces.gif") as gif:
        assert gif.size == (2 * 132 + 4, 132 + 4)
        assert gif.n_frames == 6 + 4
        assert gif.info["loop"] == 0
        frames = []
        for number in range(gif.n_frames):
            gif.seek(number)
            frames.append(gif.convert("RGB").tobytes())
    assert frames[1] == frames[9]
    assert frames[0] != frames[5]


def test_an_mp4_has_every_frame(model: str, tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio.v3", reason="imageio with ffmpeg is not installed")
    pytest.importorskip("imageio_ffmpeg", reason="imageio with ffmpeg is not installed")
    interpolate(model, "a man", "a woman", 3, 5, 0, 1, 1.0, tmp_path / "faces.mp4")
    assert imageio.imread(tmp_path / "faces.mp4").shape == (8, 136, 400, 3)
    assert [file.name for file in tmp_path.iterdir()] == ["faces.mp4"]


def test_another_file_type_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--out must be a \.gif or an \.mp4 file"):
        interpolate(model, "a man", "a woman", 1, 4, 0, None, 1.0, tmp_path / "faces.png")

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY
from hydra import compose, initialize_config_dir
from PIL import Image

from t2f.commands.cli import run
from t2f.commands.generate import generate
from t2f.errors import UserError
from train import train


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        train(compose("train", overrides=[*TINY, f"paths.run={runs}"]))
    return runs / "checkpoints/last.ckpt"


def t2f(*words: str) -> "subprocess.CompletedProcess[str]":
    """The console command as installed beside this Python."""
    command = str(Path(sys.executable).parent / "t2f")
    return subprocess.run([command, *words], capture_output=True, text=True, timeout=120, check=False)


def test_the_same_seed_draws_the_same_picture(checkpoint: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        generate(checkpoint, ["a smiling woman"], 3, seed, tmp_path / f"{name}.png")
    one, same, other = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "same", "other"))
    assert one == same
    assert one != other


def test_a_row_for_each_description(checkpoint: Path, tmp_path: Path) -> None:
    generate(checkpoint, ["a man"], 4, 0, tmp_path / "one.png")
    generate(checkpoint, ["a man", "a woman", "a bald man"], 4, 0, tmp_path / "three.png")
    one, three = (Image.open(tmp_path / name).size for name in ("one.png", "three.png"))
    assert one[0] == three[0]
    assert three[1] > 2.5 * one[1]


def test_unknown_words_are_named(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate(checkpoint, ["a smiling Klingon with glasses"], 1, 0, tmp_path / "faces.png")
    assert "Klingon" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"none of the words of a description \(zwölf, Boxkämpfer\)"):
        generate(checkpoint, ["a man", "zwölf Boxkämpfer"], 1, 0, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_a_folder_means_its_newest_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    generate(checkpoint, ["a man"], 1, 0, tmp_path / "file.png")
    generate(checkpoint.parent.parent, ["a man"], 1, 0, tmp_path / "folder.png")
    assert (tmp_path / "file.png").read_bytes() == (tmp_path / "folder.png").read_bytes()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no checkpoint in the folder"):
        generate(tmp_path / "empty", ["a man"], 1, 0, tmp_path / "none.png")


@pytest.mark.parametrize("description", ["", "   ", "\n"])
def test_an_empty_description_is_refused(checkpoint: Path, tmp_path: Path, description: str) -> None:
    with pytest.raises(UserError, match="Description 1 is empty"):
        generate(checkpoint, [description], 1, 0, tmp_path / "faces.png")


@pytest.mark.parametrize("description", ["man " * 5000, "男 man", "a \x00 man \u202e", "<b>man</b>; rm -rf", "🙂 man"])
def test_strange_descriptions_are_drawn(checkpoint: Path, tmp_path: Path, description: str) -> None:
    generate(checkpoint, [description], 2, 0, tmp_path / "faces.png")
    assert Image.open(tmp_path / "faces.png").height > 100


def test_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep/faces.png"
    drawn = t2f("generate", str(checkpoint), "a man", "a woman", "--count", "2", "--seed", "3", "--out", str(out))
    assert drawn.returncode == 0, drawn.stderr
    assert re.search(r"4 faces of 8x8 pixels written to", drawn.stdout)
    assert Image.open(out).format == "PNG"


def test_a_missing_checkpoint_ends_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["t2f", "generate", str(tmp_path / "none.ckpt"), "a man"])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: There is no file or folder")

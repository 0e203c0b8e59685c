import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from t2f.cli.app import run
from t2f.cli.generate import generate
from t2f.utils.errors import UserError


def t2f(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the installed console command."""
    command = str(Path(sys.executable).parent / "t2f")
    return subprocess.run([command, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_the_command_prints_notes_without_importing_lightning(tmp_path: Path) -> None:
    result = t2f("generate", "a man with earrings", "--count", "1", "--out", str(tmp_path / "faces.png"))
    assert result.returncode == 0
    assert "note: left out" in result.stderr


def test_the_same_seed_gives_the_same_image(model: str, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        generate(model, ["a smiling woman"], 3, seed, 1.0, tmp_path / f"{name}.png")
    one, same, other = (Image.open(tmp_path / f"{name}.png").tobytes() for name in ("one", "same", "other"))
    assert one == same
    assert one != other


def test_the_newest_checkpoint_of_a_folder_of_runs_is_named(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    for number, name in enumerate(("newest", "older")):
        checkpoint = runs / name / "checkpoints/last.ckpt"
        checkpoint.parent.mkdir(parents=True)
        shutil.copy(model, checkpoint)
        os.utime(checkpoint, (10**9 - number, 10**9 - number))
    generate(str(runs), ["a man"], 1, 0, 1.0, tmp_path / "faces.png")
    output = " ".join(capsys.readouterr().out.split())
    assert f"generated with {runs / 'newest/checkpoints/last.ckpt'}, the newest checkpoint in {runs}" in output


def test_one_description_fills_a_grid_and_several_have_a_row_each(model: str, tmp_path: Path) -> None:
    generate(model, ["a man"], 9, 0, 1.0, tmp_path / "one.png")
    generate(model, ["a man", "a woman", "a bald man"], 4, 0, 1.0, tmp_path / "three.png")
    one, three = (Image.open(tmp_path / name).size for name in ("one.png", "three.png"))
    assert one[0] == 3 * 132 + 4
    assert 3 * 132 < one[1] < 3.5 * 132
    assert three[0] > 4 * 132 + 200
    assert three[1] == 3 * 132 + 4


def test_a_column_has_one_noise_vector(model: str, tmp_path: Path) -> None:
    generate(model, ["a man", "a woman", "a man"], 2, 0, 1.0, tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    rows = [sheet.crop((250, 4 + 132 * row, sheet.width, 132 * (row + 1))) for row in range(3)]
    assert rows[0].tobytes() == rows[2].tobytes()
    assert rows[0].tobytes() != rows[1].tobytes()


def test_zero_truncation_gives_equal_faces(model: str, tmp_path: Path) -> None:
    generate(model, ["a man"], 3, 0, 0.0, tmp_path / "typical")
    generate(model, ["a man"], 3, 0, 1.0, tmp_path / "varied")
    typical, varied = (
        [Image.open(file).tobytes() for file in (tmp_path / name).iterdir()] for name in ("typical", "varied")
    )
    assert typical[0] == typical[1] == typical[2]
    assert varied[0] != varied[1]


def test_a_png_contains_its_description_and_settings(model: str, tmp_path: Path) -> None:
    generate(model, ["a man, ein Mann, 男"], 4, 7, 0.5, tmp_path / "faces.png")
    texts = Image.open(tmp_path / "faces.png").text
    assert texts["Description"] == "a man, ein Mann, 男"
    assert texts["Software"].startswith("t2f ")
    assert json.loads(texts["Comment"]) == {"model": "last.ckpt", "seed": 7, "truncation": 0.5, "count": 4}


def test_a_folder_gets_one_file_per_face(model: str, tmp_path: Path) -> None:
    generate(model, ["a man", "a Smiling woman!"], 2, 0, 1.0, tmp_path / "faces")
    files = sorted((tmp_path / "faces").iterdir())
    assert [file.name for file in files] == [
        *("0000-a-man.png", "0001-a-man.png", "0002-a-smiling-woman.png", "0003-a-smiling-woman.png")
    ]
    assert Image.open(files[3]).size == (8, 8)
    assert Image.open(files[3]).text["Description"] == "a Smiling woman!"
    assert json.loads(Image.open(files[3]).text["Comment"])["face"] == 1


def test_unknown_words_are_reported(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate(model, ["a smiling Klingon with glasses"], 1, 0, 1.0, tmp_path / "faces.png")
    assert "Klingon" in capsys.readouterr().err
    with pytest.raises(UserError, match="none of the words of 'zwölf Boxkämpfer'"):
        generate(model, ["zwölf Boxkämpfer"], 1, 0, 1.0, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_a_refused_description_does_not_stop_the_others(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    descriptions = ["a man", "zwölf Boxkämpfer", "", "a smiling Klingon"]
    with pytest.raises(UserError, match=r"none of the words of 'zwölf Boxkämpfer'.*Description 3 is empty"):
        generate(model, descriptions, 2, 0, 1.0, tmp_path / "some.png")
    assert Image.open(tmp_path / "some.png").text["Description"] == "a man\na smiling Klingon"
    assert "'a smiling Klingon': not among the words of training" in " ".join(capsys.readouterr().err.split())
    generate(model, ["a man", "a smiling Klingon"], 2, 0, 1.0, tmp_path / "understood.png")
    assert Image.open(tmp_path / "some.png").tobytes() == Image.open(tmp_path / "understood.png").tobytes()


@pytest.mark.parametrize("description", ["", "   ", "\n"])
def test_an_empty_description_is_refused(model: str, tmp_path: Path, description: str) -> None:
    with pytest.raises(UserError, match="Description 1 is empty"):
        generate(model, [description], 1, 0, 1.0, tmp_path / "faces.png")


@pytest.mark.parametrize("description", ["man " * 5000, "男 man", "a \x00 man \u202e", "<b>man</b>; rm -rf", "🙂 man"])
def test_unusual_text_is_accepted(model: str, tmp_path: Path, description: str) -> None:
    generate(model, [description], 2, 0, 1.0, tmp_path / "faces.png")
    assert Image.open(tmp_path / "faces.png").height > 100
    generate(model, [description], 1, 0, 1.0, tmp_path / "faces")
    assert len(list((tmp_path / "faces").iterdir())) == 1


@pytest.mark.parametrize(("out", "message"), [("faces.jpg", "must be a .png file or a folder"), ("file/x.png", "file")])
def test_an_invalid_output_path_is_reported(model: str, tmp_path: Path, out: str, message: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=message):
        generate(model, ["a man"], 1, 0, 1.0, tmp_path / out)


@pytest.mark.slow
def test_the_command_line(model: str, tmp_path: Path) -> None:
    out = tmp_path / "deep/faces.png"
    process = t2f("generate", "a man", "a woman", "--model", model, "--count", "2", "--seed", "3", "--out", str(out))
    assert process.returncode == 0, process.stderr
    assert re.search(r"4 faces of 8x8 pixels written to", process.stdout)
    assert Image.open(out).format == "PNG"


def test_a_description_may_be_the_name_of_a_folder(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "glasses").mkdir()
    generate(model, ["glasses"], 1, 0, 1.0, tmp_path / "faces.png")
    assert (tmp_path / "faces.png").exists()


def test_a_model_instead_of_a_description_is_reported(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([model, "a man"], [str(Path(model).parent)]):
        monkeypatch.setattr(sys, "argv", ["t2f", "generate", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        assert ended.value.code == 1
        assert f"is a model, not a description: pass it as --model {arguments[0]}" in capsys.readouterr().err

import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli.test_entry_point import write_run
from conftest import TINY
from fixtures.typing_at import typed
from hydra import compose, initialize_config_dir
from rich.console import Console

from t2f.cli.app import app
from t2f.sweeps.job import Job
from t2f.sweeps.report import show_failures
from t2f.training.callbacks.progress import show_where_it_is
from t2f.utils.quoting import generate, in_shell, override, show_exactly, value_of, without

NASTY = "run (1), a=b"
TEXTS = [
    NASTY,
    "",
    " ",
    "a blank",
    "1",
    "007",
    "1.5",
    ".5",
    "1e5",
    "1_0",
    "true",
    "Null",
    "nan",
    "-inf",
    "a..b",
    "../a",
    "./a",
    "~/a",
    "a~b",
    "a@b",
    "-a",
    "it's",
    'say "so"',
    "a'\"b",
    "back\\slash",
    "ends\\",
    "\\\"\\'",
    "$HOME",
    "${oc.env:HOME}",
    "\\${x}",
    "\\\\${x}",
    "$(ls)",
    "`ls`",
    "[a,b]",
    "{a:b}",
    "a,b",
    "a:b",
    "a=b",
    "a#b",
    "a%b&c|d;e<f>g!h*i?j^k",
    "range(3)",
    "choice(a,b)",
    ":apple:",
    "[red]",
    "tab\tbed",
    "two\nlines",
    "ünïcödé 字 🙂",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_setting_comes_through_shell_and_hydra(text: str, tmp_path: Path) -> None:
    pasted = in_shell("python", "train.py", override("name", text))
    shown = subprocess.run(["sh", "-c", f"printf '%s\\0' {pasted}"], check=True, capture_output=True, text=True).stdout
    words = shown.split("\0")[:-1]
    assert words == shlex.split(pasted)
    with initialize_config_dir(str(Path(__file__).parents[2] / "conf"), version_base="1.3"):
        assert compose("train", overrides=[words[2], "paths.run=here"]).name == text


def test_any_text_comes_through_hydra() -> None:
    rng = random.Random(0)
    alphabet = [*"ab1 ,()[]{}=:'\"$\\/.~-+*?#%&|;<>!`@^\t\né", "${", "\\${", "null", "1e5"]
    for _ in range(300):
        text = "".join(rng.choices(alphabet, k=rng.randint(0, 6)))
        setting = override("name", text)
        if "${" not in text:  # which OmegaConf reads
            assert value_of(setting) == text, setting


def test_plain_values_stay_plain() -> None:
    assert override("resume", "runs/t2f/2026-01-02_03-04-05-000006") == "resume=runs/t2f/2026-01-02_03-04-05-000006"
    assert in_shell("t2f", "evaluate", "runs/t2f") == "t2f evaluate runs/t2f"


def test_settings_are_left_out_by_their_keys() -> None:
    settings = ["resume=a", "++resume=b", "model.resume=c", "~resume", "name=resume=d"]
    assert without(settings, "resume") == ["model.resume=c", "name=resume=d"]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_shown_is_what_is_meant(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """rich would make emojis, colours and blanks of it."""
    show_exactly(text, Console())
    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize("description", ["a smiling woman", "-x", 'it\'s $5 `x` "y"', "--model"])
def test_a_printed_generate_is_understood(description: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    asked: list[object] = []
    monkeypatch.setattr("t2f.cli.generate.generate", lambda *given: asked.extend(given))
    model = f"{tmp_path}/{NASTY}/last.ckpt"
    command = shlex.split(generate(description, model))
    assert CliRunner().invoke(app, command[1:]).exit_code == 0
    assert asked[:2] == [model, [description]]


def test_the_commands_at_the_end_of_a_run_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / NASTY / "it's :apple: $HOME"
    write_run(run)
    show_where_it_is(run, [override("name", NASTY), "resume=true"], 50, 100, "a 'face'", Console())
    resume, draw, measure = capsys.readouterr().out.split("Next:\n")[1].splitlines()
    assert shlex.split(resume) == ["python", "train.py", f'name="{NASTY}"', override("resume", run)]
    assert value_of(shlex.split(resume)[-1]) == str(run)
    assert shlex.split(draw) == ["t2f", "generate", "a 'face'", "--model", f"{run}/checkpoints/last.ckpt"]
    assert shlex.split(measure) == ["t2f", "evaluate", str(run)]


def test_the_command_of_a_failed_job_can_be_pasted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = tmp_path / NASTY
    show_failures(sweep, {"seed=1,a": Job([override("name", NASTY)], status="failed", error="no")}, Console())
    again = capsys.readouterr().out.splitlines()[-1].partition("again: ")[2]
    *_, name, folder, job = shlex.split(again)
    assert [value_of(each) for each in (name, folder, job)] == [NASTY, str(sweep), "seed=1,a"]


def test_a_run_of_a_nasty_name_goes_on_by_the_command_that_it_prints(tmp_path: Path) -> None:
    """To the letter: it is run by a shell."""
    place = tmp_path / 'it\'s a "folder" (2), $HOME = {x}'
    settings = [*TINY, override("paths.runs", place), override("name", NASTY)]
    stopping = "+callbacks.signal={_target_: test_survival.SignalAt, images: 24, number: 15}"
    ended = typed(tmp_path, *settings, stopping)
    assert ended.status == 143, ended
    lines = [line.strip() for line in ended.out.split("Next:\n")[1].splitlines()]
    command = lines[0].replace(in_shell(stopping), "")
    assert command.startswith("python train.py ")
    words = subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], check=True, capture_output=True, text=True)
    ended = typed(tmp_path, *words.stdout.split("\0")[2:-1])
    assert ended.status == 0, ended
    assert "Going on after 32 images." in ended.out
    (run,) = (place / NASTY).iterdir()
    out = in_shell("--out", str(tmp_path / "faces.png"))
    draw = next(line.strip() for line in ended.out.splitlines() if line.strip().startswith("t2f generate"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pasted = ["sh", "-c", f"{draw} --count 1 {out}"]
    subprocess.run(pasted, check=True, capture_output=True, env={**os.environ, "PATH": path})
    assert (tmp_path / "faces.png").exists()
    assert str(run / "checkpoints/last.ckpt") in shlex.split(draw)


def test_a_sweep_of_a_nasty_name_goes_on_by_the_commands_that_it_prints(tmp_path: Path) -> None:
    place = tmp_path / 'it\'s a "folder" (2), $HOME'
    settings = [*TINY, override("paths.runs", place), override("name", NASTY), "model.n_critic=0,1"]
    ended = typed(tmp_path, "-m", *settings)
    assert "Traceback" not in ended.err
    alone, whole = (
        next(line for line in ended.out.splitlines() if words in line).partition(words)[2]
        for words in ("again: ", "To run all that is missing: ")
    )
    for command in (alone, whole):
        words = shlex.split(command)
        assert words[:3] == ["python", "train.py", "-m"]
        ended = typed(tmp_path, *words[2:])
        assert ended.status == 1
        assert "model.n_critic is 0" in ended.err
        assert "holds another job" not in ended.err
    assert len(list(place.rglob("job.json"))) == 2

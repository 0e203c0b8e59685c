import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cli.test_entry_point import write_run
from conftest import TINY
from fixtures.command_line import run_train
from hydra import compose, initialize_config_dir
from rich.console import Console

from t2f.cli.app import app
from t2f.sweeps.job import Job
from t2f.sweeps.report import print_failures
from t2f.training.callbacks.progress import print_results
from t2f.utils.quoting import (
    drop_overrides,
    format_override,
    generate_command,
    override_value,
    print_verbatim,
    shell_command,
)

SPECIAL_NAME = "run (1), a=b"
TEXTS = [
    SPECIAL_NAME,
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
def test_an_override_survives_the_shell_and_hydra(text: str, tmp_path: Path) -> None:
    command = shell_command("python", "train.py", format_override("name", text))
    output = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command}"], check=True, capture_output=True, text=True
    ).stdout
    words = output.split("\0")[:-1]
    assert words == shlex.split(command)
    with initialize_config_dir(str(Path(__file__).parents[2] / "conf"), version_base="1.3"):
        assert compose("train", overrides=[words[2], "paths.run=here"]).name == text


def test_random_texts_survive_hydra() -> None:
    rng = random.Random(0)
    alphabet = [*"ab1 ,()[]{}=:'\"$\\/.~-+*?#%&|;<>!`@^\t\né", "${", "\\${", "null", "1e5"]
    for _ in range(300):
        text = "".join(rng.choices(alphabet, k=rng.randint(0, 6)))
        setting = format_override("name", text)
        if "${" not in text:  # OmegaConf would resolve it
            assert override_value(setting) == text, setting


def test_plain_values_are_not_quoted() -> None:
    assert (
        format_override("resume", "runs/t2f/2026-01-02_03-04-05-000006") == "resume=runs/t2f/2026-01-02_03-04-05-000006"
    )
    assert shell_command("t2f", "evaluate", "runs/t2f") == "t2f evaluate runs/t2f"


def test_drop_overrides_selects_by_key() -> None:
    overrides = ["resume=a", "++resume=b", "model.resume=c", "~resume", "name=resume=d"]
    assert drop_overrides(overrides, "resume") == ["model.resume=c", "name=resume=d"]


@pytest.mark.parametrize("text", TEXTS)
def test_print_verbatim_changes_nothing(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """rich would replace emoji codes, markup and tabs."""
    print_verbatim(text, Console())
    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize("description", ["a smiling woman", "-x", 'it\'s $5 `x` "y"', "--model"])
def test_the_generate_command_is_parsed(description: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    received: list[object] = []
    monkeypatch.setattr("t2f.cli.generate.generate", lambda *arguments: received.extend(arguments))
    model = f"{tmp_path}/{SPECIAL_NAME}/last.ckpt"
    command = shlex.split(generate_command(description, model))
    assert CliRunner().invoke(app, command[1:]).exit_code == 0
    assert received[:2] == [model, [description]]


def test_the_commands_at_the_end_of_a_run_are_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / SPECIAL_NAME / "it's :apple: $HOME"
    write_run(run)
    print_results(run, [format_override("name", SPECIAL_NAME), "resume=true"], 50, 100, "a 'face'", Console())
    resume, generate, evaluate = capsys.readouterr().out.split("Next:\n")[1].splitlines()
    assert shlex.split(resume) == ["python", "train.py", f'name="{SPECIAL_NAME}"', format_override("resume", run)]
    assert override_value(shlex.split(resume)[-1]) == str(run)
    assert shlex.split(generate) == ["t2f", "generate", "a 'face'", "--model", f"{run}/checkpoints/last.ckpt"]
    assert shlex.split(evaluate) == ["t2f", "evaluate", str(run)]


def test_the_command_of_a_failed_job_is_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = tmp_path / SPECIAL_NAME
    print_failures(
        sweep, {"seed=1,a": Job([format_override("name", SPECIAL_NAME)], status="failed", error="no")}, Console()
    )
    again = capsys.readouterr().out.splitlines()[-1].partition("again: ")[2]
    *_, name, folder, job = shlex.split(again)
    assert [override_value(override) for override in (name, folder, job)] == [SPECIAL_NAME, str(sweep), "seed=1,a"]


def test_a_stopped_run_prints_commands_that_work(tmp_path: Path) -> None:
    """A shell runs the printed commands."""
    runs = tmp_path / 'it\'s a "folder" (2), $HOME = {x}'
    overrides = [*TINY, format_override("paths.runs", runs), format_override("name", SPECIAL_NAME)]
    stopping = "+callbacks.signal={_target_: training.test_survival.SignalAt, images: 24, number: 15}"
    ended = run_train(tmp_path, *overrides, stopping)
    assert ended.status == 143, ended
    lines = [line.strip() for line in ended.out.split("Next:\n")[1].splitlines()]
    command = lines[0].replace(shell_command(stopping), "")
    assert command.startswith("python train.py ")
    words = subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], check=True, capture_output=True, text=True)
    ended = run_train(tmp_path, *words.stdout.split("\0")[2:-1])
    assert ended.status == 0, ended
    assert "Resuming after 32 images." in ended.out
    (run,) = (runs / SPECIAL_NAME).iterdir()
    out = shell_command("--out", str(tmp_path / "faces.png"))
    generate = next(line.strip() for line in ended.out.splitlines() if line.strip().startswith("t2f generate"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = ["sh", "-c", f"{generate} --count 1 {out}"]
    subprocess.run(shell, check=True, capture_output=True, env={**os.environ, "PATH": path})
    assert (tmp_path / "faces.png").exists()
    assert str(run / "checkpoints/last.ckpt") in shlex.split(generate)


def test_an_incomplete_sweep_prints_commands_that_work(tmp_path: Path) -> None:
    runs = tmp_path / 'it\'s a "folder" (2), $HOME'
    overrides = [
        *TINY,
        format_override("paths.runs", runs),
        format_override("name", SPECIAL_NAME),
        "model.n_critic=0,1",
    ]
    ended = run_train(tmp_path, "-m", *overrides)
    assert "Traceback" not in ended.err
    single_job, all_jobs = (
        next(line for line in ended.out.splitlines() if prefix in line).partition(prefix)[2]
        for prefix in ("run again: ", "To run all unfinished jobs: ")
    )
    for command in (single_job, all_jobs):
        words = shlex.split(command)
        assert words[:3] == ["python", "train.py", "-m"]
        ended = run_train(tmp_path, *words[2:])
        assert ended.status == 1
        assert "model.n_critic is 0" in ended.err
        assert "contains another job" not in ended.err
    assert len(list(runs.rglob("job.json"))) == 2

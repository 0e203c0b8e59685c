"""The README's commands, executed as written, on tiny faces and networks."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY

from t2f.commands.cli import run as t2f_command

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(mark: str) -> list[str]:
    """The lines of the code blocks that follow `<!-- mark -->`."""
    blocks = re.findall(rf"<!-- {mark} -->\n```bash\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def execute(command: str, folder: Path) -> None:
    """Run one command in `folder`, as its own main program; training is made tiny by further overrides.

    In this process, since a new one imports Lightning for ten seconds; tests/test_train.py starts real ones.
    """
    program, *words = shlex.split(command)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        if program == "python":
            groups = {word.split("=")[0] for word in words if "." not in word.split("=")[0]}
            small = [override for override in TINY if override.split("=")[0] not in groups]
            patch.setattr(sys, "argv", [*words, *small])
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        else:
            patch.setattr(sys, "argv", [program, *words])
            with pytest.raises(SystemExit) as ended:
                t2f_command()
            assert ended.value.code == 0


def last_part(command: str) -> str:
    """What a set-up command runs once its environment is there."""
    return command.rsplit(" && ", maxsplit=1)[-1].replace(".venv/bin/", "").replace(".venv-test/bin/", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the README's first command has been run."""
    folder = tmp_path_factory.mktemp("readme")
    (train,) = commands("train")
    execute(last_part(train), folder)
    return folder


def test_exactly_two_commands_set_everything_up() -> None:
    (train,), (test,) = commands("train"), commands("tests")
    assert train.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert last_part(train) == "python train.py"
    assert test.startswith("python3 -m venv .venv-test && .venv-test/bin/pip install ")
    assert last_part(test) == "python -m pytest"


@pytest.mark.parametrize("command", commands("run"))
def test_every_command_works(folder: Path, command: str) -> None:
    execute(command, folder)
    if "--out" in command:
        assert (folder / "faces.png").exists()
    if "wandb" in command:
        assert list(folder.glob("runs/**/offline-run-*/*.wandb"))
    if " -m " in command:
        assert len(list(folder.glob("runs/losses-sweep/*/*/checkpoints/last.ckpt"))) == 6


def test_every_value_of_every_config_group_is_in_the_table() -> None:
    for group in (
        "data",
        "text",
        "model",
        "loss",
        "growth",
        "trainer",
        "callbacks",
        "logger",
        "evaluation",
        "experiment",
    ):
        (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", README, flags=re.MULTILINE)
        there = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
        assert set(re.findall(r"`(\w+)`", row)) == there


def test_files_that_the_readme_links_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target

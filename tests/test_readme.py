"""The README's commands, executed as written, on tiny faces and networks."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY

README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def commands(mark: str) -> list[str]:
    """The lines of the code blocks that follow `<!-- mark -->`."""
    blocks = re.findall(rf"<!-- {mark} -->\n```bash\n(.*?)```", README, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def execute(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run one command in `folder` with this environment's Python; training is made tiny by further overrides."""
    words = shlex.split(command)
    if words[:2] == ["python", "train.py"]:
        groups = {word.split("=")[0] for word in words if "." not in word.split("=")[0]}
        small = [override for override in TINY if override.split("=")[0] not in groups]
        words = [sys.executable, str(ROOT / "train.py"), *words[2:], *small]
    else:
        words[0] = str(BIN / words[0])
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    result = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


def last_part(command: str) -> str:
    """What a set-up command runs once its environment is there."""
    return command.rsplit(" && ", maxsplit=1)[-1].replace(".venv/bin/", "").replace(".venv-test/bin/", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the README's first command has been run."""
    folder = tmp_path_factory.mktemp("readme")
    (train,) = commands("train")
    result = execute(last_part(train), folder)
    assert "t2f generate" in result.stdout
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
    for group in ("data", "text", "model", "loss", "growth", "trainer", "logger", "evaluation", "experiment"):
        (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", README, flags=re.MULTILINE)
        there = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
        assert set(re.findall(r"`(\w+)`", row)) == there


def test_files_that_the_readme_links_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target

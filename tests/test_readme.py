"""The commands of the README and of the pages beside the code, executed as written, on tiny data and networks."""

import re
import runpy
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ONE_STAGE, ROOT, TINY, TINY_DATA, TINY_LSTM
from fixtures.image_datasets import write_celeba, write_face2text, write_folder
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

import t2f.data
import t2f.objectives
import t2f.text
from t2f.cli.app import app
from t2f.cli.app import run as t2f_command
from t2f.inference.pipeline import Pipeline
from t2f.utils.checkpoints import read_checkpoint

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / ".github/CONTRIBUTING.md",
    ROOT / "conf/README.md",
    *sorted(ROOT.glob("t2f/*/README.md")),
]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def commands(mark: str) -> list[str]:
    """Return the lines of the code blocks that follow `<!-- mark -->`."""
    blocks = re.findall(rf"<!-- {mark} -->\n```bash\n(.*?)```", TEXT, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def small(overrides: list[str]) -> list[str]:
    """Return overrides that make the networks, stages and data of a command tiny, except what it sets itself.

    In a sweep over experiments, Hydra first composes the config without them, so keys that only they define need a ++.
    """
    first = [re.sub(r"^([^=]+=)(?:range\()?([^,\[]+),.*", r"\1\2", each) for each in overrides if each != "-m"]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[*first, "paths.run=unused"])
    tiny = list(TINY)
    if "width" in cfg.model.discriminator:
        widths = ["++model.networks.generator.width=16", "++model.discriminator.width=16"]
        tiny = [*TINY_DATA, *TINY_LSTM, *ONE_STAGE, *widths]
    elif "projected" in cfg.model.discriminator._target_:  # it needs 64 pixels
        tiny = [each for each in TINY_DATA if each != "resolution=8"] + [*TINY_LSTM, *ONE_STAGE]
        tiny += ["++model.networks.generator.channels=[8,8,8,8,8]", "++model.discriminator.channels=[8,8,8,8,8]"]
    elif "multiscale" in cfg.model.networks.generator._target_:
        tiny = [each for each in TINY if not each.startswith("growth.")] + ONE_STAGE
    if "count" not in cfg.data:
        tiny = [each for each in tiny if not each.startswith("data.")] + ["++data.workers=1", "++data.held_out=0.3"]
    if "model=t2f,dcgan" in overrides:  # overrides that both models have
        tiny = [*TINY_DATA, *TINY_LSTM, "growth=none", *ONE_STAGE]
    set_already = {each.split("=")[0] for each in overrides if "." not in each.split("=")[0]} - {"resolution"}
    return [each for each in tiny if each.split("=")[0] not in set_already]


def execute(command: str, folder: Path) -> None:
    """Run one command in `folder` as a main program, with overrides that make a training tiny.

    The command runs in this process, since a new one imports Lightning for ten seconds. tests/test_train.py starts
    processes.
    """
    program, *words = shlex.split(command)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        if program == "python":
            patch.setattr(sys, "argv", [*words, *small(words[1:])])
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        else:
            few = ["--count", "20"] if words[0] == "evaluate" else []
            patch.setattr(sys, "argv", [program, *words, *few])
            with pytest.raises(SystemExit) as ended:
                t2f_command()
            assert ended.value.code == 0


def files(kind: str) -> dict[str, str]:
    """Return the content of the files with this extension in the pages, by their names."""
    blocks = re.findall(rf"<!-- file (\S+\.{kind}) -->\n```\w+\n(.*?)```", TEXT, flags=re.DOTALL)
    return dict(blocks)


def last_part(command: str) -> str:
    """Return the last part of a set-up command, which runs in the new environment."""
    return command.rsplit(" && ", maxsplit=1)[-1].replace(".venv/bin/", "").replace(".venv-test/bin/", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the README's first commands have run."""
    folder = tmp_path_factory.mktemp("readme")
    (start,), (train,) = commands("start"), commands("train")
    execute(last_part(start), folder)
    assert (folder / "faces.png").exists()
    execute(train, folder)
    return folder


def test_exactly_two_commands_set_everything_up() -> None:
    (start,), (test,) = commands("start"), commands("tests")
    assert start.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert last_part(start).startswith("t2f generate ")
    assert test.startswith("python3 -m venv .venv-test && .venv-test/bin/pip install ")
    assert last_part(test) == "python -m pytest"


def is_slow(command: str) -> bool:
    """Return whether a command is slow, or needs the results of a slow one."""
    return any(word in command for word in (" -m ", "models-sweep", "logger=wandb", "t2f export"))


@pytest.mark.parametrize(
    "command", [pytest.param(each, marks=pytest.mark.slow) if is_slow(each) else each for each in commands("run")]
)
def test_every_command_works(folder: Path, command: str) -> None:
    execute(command, folder)
    if out := re.search(r"--out (\S+)", command):
        assert (folder / out[1]).exists()
    if "compare" in command:
        assert (folder / "comparison/compare.csv").exists() and (folder / "comparison/compare.png").exists()
    if "export" in command:
        assert {each.name for each in (folder / "exported").iterdir()} >= {"README.md", "model.onnx", "model.pt2"}
    if "wandb" in command:
        assert list(folder.glob("runs/**/offline-run-*/*.wandb"))
    if " -m " in command:
        (name,) = re.findall(r"name=(\w+)", command)
        jobs = {"losses": 6, "models": 4}[name]
        assert len(list(folder.glob(f"runs/{name}-sweep/*/*/checkpoints/last.ckpt"))) == jobs


@pytest.mark.parametrize("command", commands("compose"))
def test_every_command_for_a_plugin_composes(command: str) -> None:
    overrides = [re.sub(r",.*", "", word) for word in shlex.split(command)[3:]]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=overrides, return_hydra_config=True)
    assert any(part._target_.startswith("hydra_plugins.") for part in (cfg.hydra.launcher, cfg.hydra.sweeper))


def test_commands_that_need_an_account_exist() -> None:
    dashboard, sweep = (shlex.split(command) for command in commands("online"))
    assert dashboard[:2] == ["t2f", "dashboard"]
    assert "dashboard" in {command.name or command.callback.__name__ for command in app.registered_commands}
    assert sweep[:2] == ["wandb", "sweep"]
    assert (ROOT / sweep[2]).exists()


def test_the_command_of_the_demo_page_exists() -> None:
    """tests/cli/test_demo.py opens it."""
    (page,) = (shlex.split(command) for command in commands("page"))
    assert page[:2] == ["t2f", "demo"]
    assert "demo" in {command.name or command.callback.__name__ for command in app.registered_commands}


@pytest.mark.parametrize("command", commands("processes"))
def test_every_command_for_several_processes_composes(command: str) -> None:
    """tests/utils/test_processes.py runs some."""
    words = shlex.split(command)
    overrides = words[words.index("train.py") + 1 :]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[each.split(",")[0] for each in overrides if each != "-m"])
    assert cfg.trainer.strategy.startswith("ddp")
    launched = {word.split("=")[0]: word.split("=")[1] for word in words if word.startswith("--n")}
    assert cfg.trainer.devices == int(launched.get("--nproc-per-node", 2))
    assert cfg.trainer.num_nodes == int(launched.get("--nnodes", 1))


@pytest.mark.parametrize(
    ("mark", "write", "place"),
    [
        ("folder", write_folder, "data/faces"),
        pytest.param("celeba", write_celeba, "data/celeba", marks=pytest.mark.slow),
        ("face2text", write_face2text, "data"),
    ],
)
def test_every_command_on_real_data_works_on_small_data_in_its_place(
    tmp_path: Path, mark: str, write: Callable[[Path], list[str]], place: str
) -> None:
    (tmp_path / place).mkdir(parents=True)
    write(tmp_path / place)
    for command in commands(mark):
        execute(command, tmp_path)
        name, *others = re.findall(r"(?:name|experiment)=([\w,]+)", command)[-1].split(",")
        runs = f"{name}/*" if not others else "t2f-sweep/*/*"
        assert len(list(tmp_path.glob(f"runs/{runs}/checkpoints/last.ckpt"))) == 1 + len(others), command


def test_every_value_of_every_config_group_is_in_the_table() -> None:
    for group in (
        "data",
        "conditioning",
        "text",
        "model",
        "loss",
        "augment",
        "growth",
        "lr_schedule",
        "performance",
        "loader",
        "paths",
        "trainer",
        "callbacks",
        "logger",
        "evaluation",
        "features",
        "metrics",
        "experiment",
        "hydra/launcher",
        "hydra/sweeper",
    ):
        (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", TEXT, flags=re.MULTILINE)
        there = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
        assert set(re.findall(r"`(\w+)`", row)) == there


def test_the_lines_of_python_draw_a_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lines,) = re.findall(r"```python\n(import t2f\n.*?)```", README, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(lines, {})
    assert Image.open("face.png").size == (64, 64)


def test_what_the_pages_link_exists() -> None:
    headings = {line.strip("# ").lower().replace(" ", "-") for line in README.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\]\((?:\.\./README\.md)?#([^)]+)\)", TEXT)) <= headings
    for page in (*PAGES, *(ROOT / "experiments").rglob("*.md")):
        for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page, target)


@pytest.mark.parametrize("command", commands("own"))
def test_what_users_add_trains(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The objective, encoder and data set of CONTRIBUTING.md, as files beside ours, with the objective's test."""
    code = {name: content for name, content in files("py").items() if name.startswith("t2f/")}
    for name, content in {**files("py"), **files("yaml")}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert len(code) == len(files("yaml")) == len(commands("own"))
    for package in (t2f.data, t2f.objectives, t2f.text):
        folder = tmp_path.joinpath(*package.__name__.split("."))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    (tmp_path / "data/named").mkdir(parents=True)
    for number in range(20):
        look = ("smiling woman", "bald man")[number % 2]
        Image.new("RGB", (40, 50), (number, 80, 200)).save(tmp_path / f"data/named/a {look}.{number}.jpg")
    tiny = [each for each in TINY if not each.startswith(("data.", "text."))]
    if "data=" not in command:
        tiny += ["data.count=40", "data.held_out=8"]
    monkeypatch.chdir(tmp_path)
    program, *choice = shlex.split(command)[1:]
    monkeypatch.setattr(sys, "argv", [program, f"--config-dir={tmp_path}/conf", *choice, *tiny])
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    (run,) = tmp_path.glob("runs/t2f/*")
    assert read_checkpoint(run / "checkpoints/last.ckpt")["t2f"]["images_seen"] == 96
    assert Pipeline.load(run / "checkpoints/last.ckpt")("a smiling woman")[0].size == (8, 8)
    (test,) = (tmp_path / name for name in files("py") if name.startswith("tests/"))
    for name, function in runpy.run_path(str(test)).items():
        if name.startswith("test_"):
            function()

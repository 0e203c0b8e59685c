import csv
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from t2f.cli.dashboard import dashboard, workspace
from t2f.utils.errors import UserError
from train import train

pytest.importorskip("wandb_workspaces", reason="what lays out dashboards is not installed")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a dashboard is laid out without a network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_every_panel_is_laid_out_and_shows_what_a_run_logs(tiny: Callable[..., DictConfig], tmp_path: Path) -> None:
    train(tiny("evaluation=default", "metrics=none", "evaluation.count=20"))
    with (tmp_path / "run/metrics.csv").open(newline="") as file:
        logged = next(csv.reader(file))
    made = workspace("us", "t2f")
    sections = {section.name: section.panels for section in made.sections}
    assert [len(panels) for panels in sections.values()] == [3, 3, 7, 2, 2, 3]
    lines = [panel for panels in sections.values() for panel in panels if type(panel).__name__ == "LinePlot"]
    assert {line.x for line in lines} == {"images_seen"}
    shown = {metric for line in lines for metric in line.y}
    assert shown <= {*logged}
    by_pattern = ("evaluation/", "discriminator/", "generator/")
    assert {name for name in logged if not name.startswith(by_pattern)} - shown == {"images_seen"}
    assert {*sections["Do the faces follow the words?"][0].metrics} <= {*logged}

    # What would be sent has every panel too.
    sent = made._to_model().spec.model_dump_json(by_alias=True)
    for word in (
        "samples/grid",
        "samples/growth",
        "samples/faces",
        "score/mismatched",
        "config:model.value.ema.half_life",
    ):
        assert word in sent
    assert json.loads(sent)["section"]["panelBankConfig"]["sections"]


@pytest.mark.parametrize("place", ["t2f", "/t2f", "us/", "us/t2f/runs"])
def test_a_place_that_is_no_project_is_said_so(place: str) -> None:
    with pytest.raises(UserError, match="give ENTITY/PROJECT"):
        dashboard(place)


def test_the_sweep_file_of_wandb_gives_overrides_that_compose() -> None:
    sweep = yaml.safe_load((ROOT / "experiments/sweep/wandb.yaml").read_text())
    assert (ROOT / sweep["program"]).exists()
    bounds = {
        bound: [
            f"{name}={each.get('values', [each.get(bound, each.get('value'))])[-1]}"
            for name, each in sweep["parameters"].items()
        ]
        for bound in ("min", "max")
    }
    fixed = [word for word in sweep["command"] if not word.startswith("$")]
    for overrides in bounds.values():
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("train", overrides=[*fixed, *overrides])
        assert cfg.loss.adversarial._target_ == "t2f.objectives.Wasserstein"
        assert "wandb" in cfg.logger
    assert bounds["max"][1] == "model.optimizers.generator.lr=0.01"

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

from t2f.cli.dashboard import build_workspace, dashboard
from t2f.cli.train import train
from t2f.utils.errors import UserError

pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("building a workspace must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_the_panels_show_every_metric_that_a_run_logs(tiny: Callable[..., DictConfig], tmp_path: Path) -> None:
    train(tiny("evaluation=default", "metrics=none", "evaluation.count=20"))
    with (tmp_path / "run/metrics.csv").open(newline="") as file:
        logged = next(csv.reader(file))
    workspace = build_workspace("us", "t2f")
    sections = {section.name: section.panels for section in workspace.sections}
    assert [len(panels) for panels in sections.values()] == [3, 3, 7, 2, 2, 3]
    lines = [panel for panels in sections.values() for panel in panels if type(panel).__name__ == "LinePlot"]
    assert {line.x for line in lines} == {"images_seen"}
    shown = {metric for line in lines for metric in line.y}
    assert shown <= {*logged}
    by_regex = ("evaluation/", "discriminator/", "generator/")
    assert {name for name in logged if not name.startswith(by_regex)} - shown == {"images_seen"}
    assert {*sections["Text alignment"][0].metrics} <= {*logged}

    request = workspace._to_model().spec.model_dump_json(by_alias=True)
    for name in (
        "samples/grid",
        "samples/growth",
        "samples/faces",
        "score/mismatched",
        "config:model.value.ema.half_life",
    ):
        assert name in request
    assert json.loads(request)["section"]["panelBankConfig"]["sections"]


@pytest.mark.parametrize("project", ["t2f", "/t2f", "us/", "us/t2f/runs"])
def test_an_invalid_project_is_refused(project: str) -> None:
    with pytest.raises(UserError, match="give ENTITY/PROJECT"):
        dashboard(project)


def test_the_parameters_of_the_wandb_sweep_compose() -> None:
    sweep = yaml.safe_load((ROOT / "experiments/sweep/wandb.yaml").read_text())
    assert (ROOT / sweep["program"]).exists()
    bounds = {
        bound: [
            f"{name}={each.get('values', [each.get(bound, each.get('value'))])[-1]}"
            for name, each in sweep["parameters"].items()
        ]
        for bound in ("min", "max")
    }
    fixed = [argument for argument in sweep["command"] if not argument.startswith("$")]
    for overrides in bounds.values():
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            cfg = compose("train", overrides=[*fixed, *overrides])
        assert cfg.loss.adversarial._target_ == "t2f.objectives.Wasserstein"
        assert "wandb" in cfg.logger
    assert bounds["max"][1] == "model.optimizers.generator.lr=0.01"

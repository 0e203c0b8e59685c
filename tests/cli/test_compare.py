import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ROOT, TINY
from hydra import compose, initialize_config_dir
from PIL import Image

from t2f.cli.app import run as t2f_command
from t2f.cli.compare import FACE_SIZE, MAX_ROWS, RUN_GAP, best_indices
from t2f.cli.train import train
from t2f.evaluation.metric_value import MetricValue
from t2f.evaluation.runs import differing_settings, distinguishing_settings, find_runs, run_names
from t2f.inference.pipeline import Pipeline
from t2f.utils.errors import UserError
from t2f.utils.images import CAPTION_WIDTH, GAP, to_uint8

RUNS: dict[str, list[str]] = {
    "logistic": ["evaluation=default", "evaluation.count=12", "metrics=none"],
    "hinge": ["loss=hinge", "seed=1", "evaluation=default", "evaluation.count=12", "metrics=none"],
    "labels": ["conditioning=attributes", "conditioning.attributes=[Male,Smiling]"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two evaluated models with text conditioning, and one with attributes that was not evaluated."""
    runs = tmp_path_factory.mktemp("runs")
    for name, overrides in RUNS.items():
        folder = runs / name / "0"
        folder.mkdir(parents=True)
        (folder / "wandb/files").mkdir(parents=True)
        (folder / "wandb/files/config.yaml").write_text("wandb_version: 1\n")  # not a t2f run
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            base = [each for each in TINY if not each.startswith("evaluation=")]
            quiet = [] if "evaluation=default" in overrides else ["evaluation=none"]
            settings = [*base, *quiet, *overrides, f"name={name}", f"paths.run={folder}"]
            train(compose("train", overrides=settings))
    return runs


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained runs that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `t2f compare` into the test's folder and return its output without line breaks."""

    def command(*arguments: Any) -> str:
        monkeypatch.setattr(sys, "argv", ["t2f", "compare", *map(str, arguments), "--out", str(tmp_path)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            t2f_command()
        output = capsys.readouterr()
        assert ended.value.code == (1 if output.err.startswith("error") else 0), output.err
        return " ".join((output.out + output.err).split())

    return command


def rewrite(report: Path, **values: Any) -> None:
    report.write_text(json.dumps(json.loads(report.read_text()) | values))


def read_csv(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {line["run"]: line for line in csv.DictReader(file)}


def test_differing_settings_have_no_folders(runs: Path) -> None:
    found = find_runs([runs])
    assert run_names(found) == ["hinge", "labels", "logistic"]
    two = [found[0], found[2]]
    settings = differing_settings(two)
    assert settings["seed"] == [1, 0]
    assert not [name for name, values in settings.items() if any(str(runs.parent) in str(each) for each in values)]
    shown = distinguishing_settings(settings)
    assert shown["seed"] == ["1", "0"]
    assert shown["adversarial"] == ["Hinge", "NonSaturating"]
    assert not any("half_life" in name or "sheets" in name for name in shown)
    assert distinguishing_settings(differing_settings([found[0], found[0]])) == {}


def test_metrics_are_shown_beside_settings(runs: Path, tmp_path: Path, compare: Callable[..., str]) -> None:
    output = compare(runs)
    assert "are not comparable" not in output and "Hinge" in output
    reports = {name: json.loads((runs / name / "0/evaluation.json").read_text()) for name in ("hinge", "logistic")}
    written = read_csv(tmp_path / "compare.csv")
    assert set(written) == set(RUNS)
    for name, report in reports.items():
        assert float(written[name]["attribute_accuracy"]) == report["figures"]["attribute_accuracy"]
        assert written[name]["report.count"] == "12" and written[name]["images_seen"] == "96"
    assert written["labels"]["attribute_accuracy"] == "" and written["labels"]["images_seen"] == "96"
    assert (written["hinge"]["seed"], written["logistic"]["seed"]) == ("1", "0")
    accuracies = [report["figures"]["attribute_accuracy"] for report in reports.values()]
    assert f"{max(accuracies):.3f} *" in output


def test_all_runs_share_captions_and_noise(runs: Path, tmp_path: Path, compare: Callable[..., str]) -> None:
    compare(runs, "--count", 2, "--seed", 5)
    sheet = np.asarray(Image.open(tmp_path / "compare.png"))
    block = 2 * (FACE_SIZE + GAP) + GAP
    # hinge with sentences | labels with attributes | logistic with sentences
    assert sheet.shape[1] == 3 * (CAPTION_WIDTH + block) + 2 * RUN_GAP
    pipeline = Pipeline.load(runs / "hinge/0/checkpoints/last.ckpt")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[*TINY, "paths.run=unused"])
    from hydra.utils import instantiate

    source = instantiate(cfg.data)
    source.prepare()
    held_out = source.held_out
    (face,) = [example.face for example in pipeline.conditioner.examples(held_out, 1)]
    noise = pipeline.noise(2, seed=5)
    images = to_uint8(pipeline.generate_from_text([held_out.captions[face][0]] * 2, noise))
    top = sheet.shape[0] - MAX_ROWS * (FACE_SIZE + GAP)
    for column in range(2):
        left = CAPTION_WIDTH + column * (FACE_SIZE + GAP)
        shown = sheet[top : top + FACE_SIZE : FACE_SIZE // 8, left : left + FACE_SIZE : FACE_SIZE // 8]
        # Another batch size may change the rounding.
        assert np.abs(shown.transpose(2, 0, 1).astype(int) - images[column].numpy()).max() <= 1


def test_captions_are_used_for_models_that_accept_them(runs: Path, tmp_path: Path, compare: Callable[..., str]) -> None:
    output = compare(runs, "--captions", "a man", "--captions", "a woman", "--count", 1)
    assert "labels is not in the image: The model was trained on attributes" in output
    width, height = Image.open(tmp_path / "compare.png").size
    assert width == CAPTION_WIDTH + 2 * (FACE_SIZE + 2 * GAP) + RUN_GAP  # the captions once
    assert 2 * FACE_SIZE < height < 3 * FACE_SIZE


def test_runs_with_different_data_sets_use_their_own_examples(runs: Path, compare: Callable[..., str]) -> None:
    path = runs / "labels/0/checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["t2f"]["config"] = checkpoint["t2f"]["config"].replace("held_out: 8", "held_out: 9")
    torch.save(checkpoint, path)
    assert "not trained on the same data set" in compare(runs, "--count", 1)


def test_metrics_of_different_evaluations_are_not_compared(runs: Path, compare: Callable[..., str]) -> None:
    rewrite(runs / "hinge/0/evaluation.json", count=99, data_fingerprint={"train": "0", "held_out": "1"})
    output = compare(runs / "hinge", runs / "logistic", "--captions", "a man", "--count", 1)
    assert "are not comparable, because the evaluations differ in count (99, 12) and data fingerprint (0 1, " in output
    assert " *" not in output


def test_damaged_files_are_skipped_with_a_note(runs: Path, tmp_path: Path, compare: Callable[..., str]) -> None:
    (runs / "hinge/0/report.json").write_text('{"figures": {')
    (runs / "labels/0/report.json").write_text('{"attribute_accuracy": 0.5}')
    shutil.rmtree(runs / "logistic/0/checkpoints")
    output = compare(runs, "--captions", "a man", "--count", 1)
    assert "hinge/0/report.json is damaged or from an older t2f, so it is skipped" in output
    assert "labels/0/report.json is damaged or from an older t2f, so it is skipped" in output
    assert "logistic has no readable checkpoint" in output
    written = read_csv(tmp_path / "compare.csv")
    assert written["hinge"]["attribute_accuracy"] and written["logistic"]["attribute_accuracy"]
    assert Image.open(tmp_path / "compare.png").width < CAPTION_WIDTH + 2 * FACE_SIZE


def test_missing_runs_are_reported(tmp_path: Path, compare: Callable[..., str]) -> None:
    (tmp_path / "empty").mkdir()
    assert compare(tmp_path / "empty").startswith("error: There are no runs in ")
    assert compare(tmp_path / "none").startswith("error: There is no ")
    assert not list(tmp_path.glob("compare.*"))
    with pytest.raises(UserError, match="give the folder of a run"):
        find_runs([tmp_path / "none"])


def test_best_indices_follow_the_direction_of_the_metric() -> None:
    def values(better: Any, *pairs: tuple[float, float | None]) -> list[MetricValue | None]:
        return [None, *(MetricValue("a", "a", value, real=real, better=better) for value, real in pairs)]

    assert best_indices(values("higher", (1, 9), (3, 9), (2, 9))) == {2}
    assert best_indices(values("lower", (1, 9), (3, 9), (float("nan"), 9), (1, 9))) == {1, 4}
    assert best_indices(values("as real", (0.2, 0.5), (0.9, 0.5), (0.6, 0.5), (0.5, None))) == {3}
    assert best_indices(values("higher", (1, None))) == set()


def test_settings_have_short_names(tmp_path: Path) -> None:
    def written(name: str, **values: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        paths = {"run": str(folder), "cache": f"/cache/of/{name}"}
        config = {"name": "same", "paths": paths, "sheets": {"folder": f"{folder}/samples"}, "seed": 0, **values}
        (folder / "config.yaml").write_text(json.dumps(config))
        return folder

    adam = {"_target_": "torch.optim.Adam", "lr": 0.001, "betas": [0.0, 0.99]}
    one = {"_target_": "t2f.networks.One", "width": 1}
    two = {"_target_": "t2f.networks.Two", "depth": [1, 2]}
    written("a", g={"opt": adam, "net": one}, d={"opt": adam}, loss={"penalties": [{"weight": 1.0}]})
    written("b", g={"opt": adam, "net": two}, d={"opt": adam | {"lr": 0.0025}}, loss={"penalties": [{"weight": 2.0}]})
    runs = find_runs([tmp_path, tmp_path / "a"])
    assert run_names(runs) == ["a", "b"]
    settings = differing_settings(runs)
    assert settings["g.net.width"] == [1, None] and settings["d.opt.lr"] == [0.001, 0.0025]
    assert distinguishing_settings(settings) == {
        "net": ["One", "Two"],
        "opt.lr": ["0.001", "0.0025"],
        "0.weight": ["1", "2"],
    }

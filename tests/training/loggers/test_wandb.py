"""Records of Weights & Biases, read from the files of offline runs."""

import csv
import json
import math
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from conftest import TINY_DCGAN, sweep
from omegaconf import DictConfig
from PIL import Image
from wandb.proto import wandb_internal_pb2

from t2f.cli.train import train_and_finish
from t2f.utils.checkpoints import read_checkpoint

Tiny = Callable[..., DictConfig]


def blocks(file: Path) -> Iterator[bytes]:
    """Return the complete records of a .wandb file, which may still be written to.

    It has LevelDB's log format: blocks of 32 KiB, and records that may be split into parts.
    """
    data, start, parts = file.read_bytes(), 7, []  # after wandb's header of 7 bytes
    while start + 7 <= len(data):
        left = 32768 - start % 32768
        if left < 7:
            start += left
            continue
        _, length, kind = struct.unpack("<IHB", data[start : start + 7])
        if length == 0 or start + 7 + length > len(data):
            return  # not yet written
        parts.append(data[start + 7 : start + 7 + length])
        start += 7 + length
        if kind in (1, 4):  # a complete record, or its last part
            yield b"".join(parts)
            parts = []


class OfflineRun:
    """The records of an offline run: description, config, history, artifacts and exit code."""

    def __init__(self, file: Path) -> None:
        self.config: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.axes: dict[str, str] = {}
        self.artifacts: list[Any] = []
        self.files: list[str] = []
        self.exit_code: int | None = None
        for block in blocks(file):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(block)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
                self.config |= {each.key: json.loads(each.value_json) for each in record.run.config.update}
            elif kind == "history":
                items = record.history.item
                self.history.append(
                    {each.key or ".".join(each.nested_key): json.loads(each.value_json) for each in items}
                )
            elif kind == "metric":
                self.axes[record.metric.name or record.metric.glob_name] = record.metric.step_metric
            elif kind == "artifact":
                self.artifacts.append(record.artifact)
            elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
                self.artifacts.append(record.request.log_artifact.artifact)
            elif kind == "files":
                self.files += [each.path for each in record.files.files]
            elif kind == "exit":
                self.exit_code = record.exit.exit_code


@pytest.fixture(autouse=True)
def offline_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def offline_runs(folder: Path) -> list[OfflineRun]:
    """Return the runs of a folder in order of their start. wandb writes exit codes in the background."""
    runs = []
    for file in sorted(folder.glob("wandb/offline-run-*/*.wandb"), key=lambda file: file.parent.name):
        for _ in range(600):
            run = OfflineRun(file)
            if run.exit_code is not None:
                break
            time.sleep(0.1)
        runs.append(run)
    return runs


def test_an_offline_run_has_config_metrics_samples_and_checkpoints(tiny: Tiny, tmp_path: Path) -> None:
    train_and_finish(
        tiny("logger=wandb", "logger.wandb.tags=[mine]", "evaluation=default", "metrics=none", "evaluation.count=30")
    )
    assert wandb.run is None
    (run,) = offline_runs(tmp_path / "run")
    assert run.exit_code == 0
    assert (run.run.project, run.run.display_name, run.run.job_type) == ("t2f", "t2f", "train")
    assert list(run.run.tags) == ["mine"]
    assert run.config["model"]["optimizers"]["generator"]["lr"] == 0.003
    assert run.axes["*"] == "images_seen"

    # One row per step, which is images seen.
    assert [row["images_seen"] for row in run.history] == [row["_step"] for row in run.history]
    assert [row["images_seen"] for row in run.history] == [0, 16, 32, 48, 64, 80, 96]
    with (tmp_path / "run/metrics.csv").open(newline="") as file:
        written = [row for row in csv.DictReader(file) if row["loss/generator"]]
    for row, logged in zip(written, run.history[1:], strict=True):
        assert {name: f"{logged[name]:.6g}" for name, value in row.items() if value} == {
            k: v for k, v in row.items() if v
        }
    expected = {"loss/generator", "loss/discriminator", "score/real", "score/fake", "growth/alpha", "growth/resolution"}
    expected |= {"gradient_norm/generator", "gradient_norm/discriminator", "speed/images_per_second", "memory/peak_gib"}
    assert expected <= {*run.history[1]}
    assert {"evaluation/attribute_accuracy", "samples/growth.path"} <= {*flat(run.history[-1])}

    sample_grids = [flat(row) for row in run.history if "samples/grid.path" in flat(row)]
    assert [row["images_seen"] for row in sample_grids] == [0, 32, 64, 96]
    (files,) = (tmp_path / "run/wandb").glob("offline-run-*/files")
    assert Image.open(files / sample_grids[-1]["samples/grid.path"]).size == Image.open(last_grid(tmp_path)).size
    assert Image.open(files / flat(run.history[-1])["samples/growth.path"]).n_frames == 4
    tables = [artifact for artifact in run.artifacts if artifact.type == "run_table"]
    assert len(tables) == 4
    contents = {each.path: Path(each.local_path) for each in tables[-1].manifest.contents}
    table = json.loads(contents["samples/faces.table.json"].read_text())
    assert table["columns"] == ["images_seen", "caption", "face", "score"]
    assert len(table["data"]) == 8 * 4
    for seen, caption, face, score in table["data"]:
        assert seen == 96
        assert len(caption.split()) > 1
        assert Image.open(contents[face["path"]]).size == (96, 96)
        assert math.isfinite(score)
    assert len({score for *_, score in table["data"]}) > 8

    models = [artifact for artifact in run.artifacts if artifact.type == "model"]
    assert [{*artifact.aliases} - {"latest"} for artifact in models] == [{"4px"}, {"8px"}, set()]
    (last,) = models[-1].manifest.contents
    assert (last.path, last.size) == ("last.ckpt", (tmp_path / "run/checkpoints/last.ckpt").stat().st_size)


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """{"a": {"path": 1}} -> {"a.path": 1}, one level deep."""
    pairs = {key: value if isinstance(value, dict) else None for key, value in row.items()}
    return row | {f"{key}.{name}": each for key, inner in pairs.items() for name, each in (inner or {}).items()}


def last_grid(folder: Path) -> Path:
    return max((folder / "run/samples").glob("*.png"))


@pytest.mark.slow
def test_jobs_of_a_sweep_are_runs_of_one_group(tmp_path: Path) -> None:
    trap = f"+callbacks.trap={{_target_: sweeps.test_sweep.FailOnce, file: {tmp_path}/happened, seed: 1}}"
    command = ["seed=1,2", "logger=wandb", "name=pair", trap, f"hydra.sweep.dir={tmp_path}/pair-sweep/now"]
    assert sweep(tmp_path, *command) == 1
    assert sweep(tmp_path, *command) == 0
    first, again = offline_runs(tmp_path / "pair-sweep/now/0")
    (other,) = offline_runs(tmp_path / "pair-sweep/now/1")
    assert [run.exit_code for run in (first, again, other)] == [1, 0, 0]
    assert first.run.run_id == again.run.run_id != other.run.run_id
    assert {run.run.run_group for run in (first, again, other)} == {"pair-sweep/now"}
    assert {run.run.job_type for run in (first, again, other)} == {"sweep"}
    assert [run.run.display_name for run in (first, other)] == ["pair-0", "pair-1"]
    assert {"model=t2f", "loss=logistic", "data=avatars"} <= {*other.run.tags}
    # The history of the failed part is kept, and the second part resumes from the checkpoint.
    assert [row["images_seen"] for row in first.history] == [0, 16, 32, 48, 64]
    assert [row["images_seen"] for row in again.history] == [80, 96]
    assert "latest" in [alias for artifact in first.artifacts if artifact.type == "model" for alias in artifact.aliases]


def test_logging_scores_does_not_change_the_networks(tiny: Tiny) -> None:
    """In training mode, the discriminator's batch norm would update its statistics."""
    plain, logged = (tiny(f"logger={logger}", base=TINY_DCGAN) for logger in ("csv", "wandb"))
    for number, cfg in enumerate((plain, logged)):
        cfg.paths.run = f"{cfg.paths.run}-{number}"
        Path(cfg.paths.run).mkdir()
        train_and_finish(cfg)
    one, other = (
        read_checkpoint(Path(cfg.paths.run) / "checkpoints/last.ckpt")["state_dict"] for cfg in (plain, logged)
    )
    assert any("running_mean" in name for name in one)
    assert all(torch.equal(one[name], other[name]) for name in one)

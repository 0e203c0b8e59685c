"""Whole runs of train.py, at a tiny size."""

import csv
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from conftest import ROOT, TINY, TINY_DCGAN, TINY_MULTISCALE
from fixtures.image_datasets import write_face2text
from omegaconf import DictConfig
from PIL import Image

from t2f.cli.train import train
from t2f.inference.pipeline import Pipeline
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError

Tiny = Callable[..., DictConfig]
sys.modules["test_train"] = sys.modules[__name__]  # so that configs can refer to the callbacks below


def start(*overrides: str) -> "subprocess.Popen[str]":
    """Start `python train.py` in a new process."""
    command = [sys.executable, "train.py", *overrides]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_all_its_files(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = train(tiny("logger=default", "evaluation=default", "evaluation.count=30"))
    run = tmp_path / "run"
    assert [int(row["images_seen"]) for row in rows(run) if row["loss/generator"]] == [16, 32, 48, 64, 80, 96]
    assert [row["growth/resolution"] for row in rows(run)][:6] == ["4"] * 3 + ["8"] * 3
    assert {path.name for path in (run / "checkpoints").iterdir()} == {
        *("last.ckpt", "4px.ckpt", "8px.ckpt"),  # links to the newest one, and to the last one of each stage
        *("000000080.ckpt", "000000096.ckpt"),  # the newest two
    }
    assert [path.stem for path in sorted((run / "samples").iterdir())] == [f"{n:09d}" for n in (0, 32, 64, 96)]
    assert Image.open(run / "growth.gif").n_frames == 4
    assert list((run / "tensorboard").glob("events.*"))
    assert "vocabulary: " in (run / "config.yaml").read_text()
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert evaluation["figures"].items() <= figures.items()
    assert (figures["images_seen"], figures["images_planned"]) == (96, 96)
    assert {"attribute_accuracy", "frechet_distance_efficientnet_lite0", "diversity_efficientnet_lite0"} < set(figures)
    assert "Smiling" in {row["name"] for row in evaluation["attributes"]}
    assert "| Smiling |" in (run / "evaluation.md").read_text()
    shown = capsys.readouterr().out
    for text in ("Growth", "8x8", "parameters", "t2f generate", "checkpoints"):
        assert text in shown


class StopAt(pl.Callback):
    """Raises an error after `images` images."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if pl_module.images_seen >= self.images:
            raise RuntimeError("crash")


def assert_equal(one: Any, other: Any, where: str = "checkpoint") -> None:
    """Assert that nested containers of tensors are equal to the bit."""
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_equal(left, right, f"{where}[{index}]")
    else:
        assert one == other, where


def test_a_short_run_has_enough_frames_also_if_resumed(tiny: Tiny, tmp_path: Path) -> None:
    often = ("callbacks.sample_grids.frames=10", "callbacks.sample_grids.every=5000")
    train(tiny(*often))
    frames = [path.name for path in sorted((tmp_path / "run/samples").iterdir())]
    assert len(frames) >= 10
    train(tiny(*often, f"paths.run={tmp_path}/again", f"ckpt_path={tmp_path}/run/checkpoints/4px.ckpt"))
    resumed = [path.name for path in sorted((tmp_path / "again/samples").iterdir())]
    assert resumed == [name for name in frames if name > "000000048.png"]
    with Image.open(tmp_path / "run/growth.gif") as moving:
        assert moving.n_frames == len(frames)


def test_resuming_during_fade_in_is_exact(tiny: Tiny, tmp_path: Path) -> None:
    whole = tiny(f"paths.run={tmp_path}/whole")
    train(whole)

    crash = "+callbacks.crash={_target_: test_train.StopAt, images: 72}"
    with pytest.raises(RuntimeError, match="crash"):
        train(tiny(crash))
    stopped = read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["t2f"]
    assert stopped["resolution"] == 8
    assert 0 < stopped["alpha"] < 1
    train(tiny("resume=true"))

    for name in ("last.ckpt", "8px.ckpt"):
        one = read_checkpoint(tmp_path / "whole/checkpoints" / name)
        other = read_checkpoint(tmp_path / "run/checkpoints" / name)
        for part in ("state_dict", "optimizer_states"):
            assert_equal(one[part], other[part], part)
        assert one["t2f"]["images_seen"] == other["t2f"]["images_seen"] == 96
    timeless = [
        [
            {k: v for k, v in row.items() if k not in ("speed/images_per_second", "memory/peak_gib")}
            for row in rows(tmp_path / run)
        ]
        for run in ("whole", "run")
    ]
    assert timeless[0] == timeless[1]


def test_ckpt_path_continues_in_a_new_folder(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny(f"paths.run={tmp_path}/first"))
    (tmp_path / "next").mkdir()
    train(tiny(f"paths.run={tmp_path}/next", f"ckpt_path={tmp_path}/first/checkpoints/4px.ckpt"))
    assert [int(row["images_seen"]) for row in rows(tmp_path / "next")] == [64, 80, 96]
    ends = [read_checkpoint(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in ("first", "next")]
    assert_equal(ends[0], ends[1])


def assert_finite(run: Path) -> None:
    """Assert that all logged values are finite."""
    logged = rows(run)
    assert logged
    assert all(np.isfinite(float(value)) for row in logged for value in row.values() if value)


@pytest.mark.parametrize("loss", sorted(path.stem for path in (ROOT / "conf/loss").glob("*.yaml")))
def test_every_loss_trains(tiny: Tiny, tmp_path: Path, loss: str) -> None:
    train(tiny(f"loss={loss}"))
    assert_finite(tmp_path / "run")


BASES = {"t2f": TINY, "dcgan": TINY_DCGAN, "multiscale": TINY_MULTISCALE}
ATTRIBUTES = ["conditioning=attributes", "conditioning.attributes=[Male,Eyeglasses,Smiling]"]


@pytest.mark.parametrize(
    ("model", "overrides", "description"),
    [
        ("t2f", ["text=bilstm", "model.discriminator.unconditional=true"], "a smiling man"),
        ("t2f", [*ATTRIBUTES, "augment=diffaugment"], "Male, Smiling"),
        ("dcgan", ["augment=diffaugment"], "a smiling man"),
        ("dcgan", ["conditioning=attributes", "model.objectives.mismatched.weight=0"], "Male, Smiling?"),
        ("dcgan", [*ATTRIBUTES, "conditioning.rotations=true"], "Male, 90 degrees"),
        ("multiscale", ["text=bilstm", "augment=diffaugment"], "a smiling man"),
        ("multiscale", [*ATTRIBUTES, "loss=wgan_gp"], "none"),
    ],
)
def test_every_model_trains_on_text_and_on_attributes(
    tiny: Tiny, tmp_path: Path, model: str, overrides: list[str], description: str
) -> None:
    train(tiny(*overrides, base=BASES[model]))
    run = tmp_path / "run"
    assert_finite(run)
    assert float(rows(run)[-1]["growth/resolution"]) == 8
    assert list((run / "samples").iterdir())
    pipeline = Pipeline.load(run / "checkpoints/last.ckpt")
    noise = torch.randn(2, pipeline.networks.noise_dim, generator=torch.Generator().manual_seed(0))
    faces = pipeline.generate_from_text([description] * 2, noise)
    assert faces.shape == (2, 3, 8, 8)
    assert faces.isfinite().all()
    assert not torch.equal(faces[0], faces[1])
    assert torch.equal(pipeline.generate_from_text([description] * 2, noise), faces)  # batch norm is in evaluation mode
    torch.testing.assert_close(pipeline.generate_from_text([description], noise[:1]), faces[:1])


def test_conditioning_attributes_are_evaluated(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny(*ATTRIBUTES, "evaluation=default", "metrics=none", "evaluation.count=30", base=TINY_DCGAN))
    evaluation = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert {row["name"]: row["count"] for row in evaluation["attributes"]} == dict.fromkeys(
        ["Male", "Eyeglasses", "Smiling"], 30
    )
    assert "compared" not in (tmp_path / "run/evaluation.md").read_text()
    assert "t2f generate" in (shown := capsys.readouterr().out)
    assert "Male, Eyeglasses" in shown


@pytest.mark.parametrize("model", ["dcgan", "multiscale"])
def test_resuming_a_model_that_does_not_grow_is_exact(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    """Also with the running statistics of batch norm."""
    more = [*ATTRIBUTES, "augment=diffaugment"]
    train(tiny(f"paths.run={tmp_path}/whole", *more, base=BASES[model]))
    crash = "+callbacks.crash={_target_: test_train.StopAt, images: 24}"
    with pytest.raises(RuntimeError, match="crash"):
        train(tiny(crash, *more, base=BASES[model]))
    assert read_checkpoint(tmp_path / "run/checkpoints/last.ckpt")["t2f"]["images_seen"] == 24
    train(tiny("resume=true", *more, base=BASES[model]))
    assert "note: resuming with" not in capsys.readouterr().err  # all settings are unchanged
    one, other = (read_checkpoint(tmp_path / run / "checkpoints/last.ckpt") for run in ("whole", "run"))
    for part in ("state_dict", "optimizer_states"):
        assert_equal(one[part], other[part], part)
    statistics = [
        value
        for name, value in one["state_dict"].items()
        if name.endswith("running_mean") and ".projection." not in name
    ]
    assert bool(statistics) == (model == "dcgan")
    assert all(value.any() for value in statistics)


@pytest.mark.parametrize("model", ["dcgan", "multiscale"])
def test_a_model_that_cannot_grow_needs_one_stage(tiny: Tiny, model: str) -> None:
    grown = ["growth.resolutions=[4,8]", "growth.images=[8,8]", "growth.fade_in=[0,0]", "growth.batch_sizes=[8,8]"]
    with pytest.raises(UserError, match="cannot grow: give each list of growth one value"):
        train(tiny(*grown, base=BASES[model]))


def test_a_multiscale_model_needs_the_resolution_of_its_networks(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"end at 8 pixels, but growth\.resolutions at 4"):
        train(tiny("growth.resolutions=[4]", "resolution=4", base=TINY_MULTISCALE))


def test_resuming_with_unlabeled_faces_is_exact(tiny: Tiny, tmp_path: Path) -> None:
    data = write_face2text(tmp_path / "data")
    settings = ["data=face2text", *data, "data.undescribed=true", "augment=diffaugment"]
    base = [each for each in TINY if not each.startswith("data.")] + ["model.discriminator.unconditional=true"]
    train(tiny(*settings, f"paths.run={tmp_path}/whole", base=base))
    with pytest.raises(RuntimeError, match="crash"):
        train(tiny(*settings, "+callbacks.crash={_target_: test_train.StopAt, images: 72}", base=base))
    train(tiny(*settings, "resume=true", base=base))
    ends = [read_checkpoint(tmp_path / run / "checkpoints/last.ckpt")["state_dict"] for run in ("whole", "run")]
    assert_equal(ends[0], ends[1])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["growth.resolutions=[4,10]"], "growth.resolutions ends at 10 pixels, but resolution is 8"),
        (["resolution=64"], "growth.resolutions ends at 8 pixels, but resolution is 64"),
        (["growth.resolutions=[3,8]"], "growth.resolutions has 3, which is not a power of two"),
        (["growth.images=[48]"], "growth.images has 1 value(s) for 2 stage(s)"),
        (["growth.resolutions=[8]"], "growth.batch_sizes has 2 value(s) for 1 stage(s)"),
        (["growth.batch_sizes=[8,0]"], "growth.batch_sizes must be at least 1"),
        (["data.count=0"], "data.count"),
        (["data.resolution=4"], "data.resolution=8"),
        (["model.networks.generator.channels=[16]"], "model.networks.generator.channels"),
        (["text.encoder.hidden_dim=16", "model.networks.conditioning.dim=99"], "latent_dim"),
        (["model.optimizers.generator.lr=abc"], "model.optimizers.generator"),
        (["model.n_critic=0"], "model.n_critic"),
        (["model.ema.half_life=-1"], "model.ema.half_life"),
        (["lr_schedule.start=2"], "lr_schedule.start"),
        (["labeled_fraction=0"], "labeled_fraction is 0"),
        (["augment=diffaugment", "augment.policy=[colour]"], "policy has colour"),
        (["conditioning=attributes", "conditioning.attributes=[Mael]"], "no attribute Mael"),
        (["model.encoder_learns_from=genrator"], "model.encoder_learns_from"),
        (["callbacks.sample_grids.every=0"], "callbacks.sample_grids.every is 0"),
        (["callbacks.sample_grids.frames=0"], "callbacks.sample_grids.frames is 0"),
        (["callbacks.checkpoints.keep=0"], "callbacks.checkpoints.keep is 0"),
        (["loader.workers=two"], "loader.workers is two"),
        (["loss.penalties.r1.every=0"], "loss.penalties.r1.every is 0"),
        (["growth.batch_sizes=[8,1]"], "batch of 1 images (growth.batch_sizes)"),
        (["growth.images=[0,48]", "data.count=-1"], "growth.images must be at least 1"),  # before the data are prepared
        (["ckpt_path=/nowhere/last.ckpt"], "no file or folder /nowhere/last.ckpt"),
        (["resume=true"], "no checkpoint"),
    ],
)
def test_invalid_values_give_a_message_with_the_config_key(tiny: Tiny, overrides: list[str], message: str) -> None:
    with pytest.raises(Exception, match=r".") as caught:
        train(tiny(*overrides))
    error: BaseException | None = caught.value
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__
    assert error is not None, f"a bare error: {caught.value!r}"
    assert message in str(error)


def test_another_model_cannot_be_resumed(tiny: Tiny, tmp_path: Path) -> None:
    train(tiny(f"paths.run={tmp_path}/first"))
    with pytest.raises(UserError, match="another model"):
        train(tiny(f"ckpt_path={tmp_path}/first/checkpoints/last.ckpt", "model.networks.generator.channels=[16,8]"))
    with pytest.raises(UserError, match="other captions"):
        train(tiny(f"ckpt_path={tmp_path}/first/checkpoints/last.ckpt", "data.count=41"))


class Poison(pl.Callback):
    """Sets weights to NaN after 72 images."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        if pl_module.images_seen == 72:
            with torch.no_grad():
                next(pl_module.networks.generator.parameters()).fill_(math.nan)


def test_a_diverging_run_keeps_its_last_finite_checkpoint(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Training diverged"):
        train(tiny("+callbacks.poison={_target_: test_train.Poison}"))
    checkpoints = list((tmp_path / "run").rglob("*.ckpt"))
    assert "last.ckpt" in {path.name for path in checkpoints}
    for path in checkpoints:
        checkpoint = read_checkpoint(path)
        assert 0 < checkpoint["t2f"]["images_seen"] <= 72
        assert all(torch.isfinite(weight).all() for weight in checkpoint["state_dict"].values())


def test_a_huge_learning_rate_diverges(tiny: Tiny) -> None:
    with pytest.raises(UserError, match="Training diverged"):
        train(tiny("model.optimizers.generator.lr=1e30"))


def test_few_training_images_give_a_note(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny("growth.images=[8,8]"))
    assert "note: there are only 40 training images, which the model will copy" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_prints_errors_without_a_traceback(tmp_path: Path) -> None:
    messages = {
        "growth.fade_in=[0,2]": "error: growth.fade_in must be a fraction",
        "loss=no_such_loss": "There is no loss/no_such_loss among the configs",
        "data.cuont=3": "data.cuont",
        "model.optimizers.generator.lr=abc": "model.optimizers.generator",
    }
    processes = {override: start(*TINY, f"paths.runs={tmp_path}", override) for override in messages}
    for override, process in processes.items():
        out, error = process.communicate(timeout=200)
        assert process.returncode == 1
        assert messages[override] in error
        assert "Traceback" not in out + error

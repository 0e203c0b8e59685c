"""Pinned results, which a refactoring must not change.

Each config trains for 20 steps in float32 on one thread. `pins.json` has the two losses of each step, checksums of the
networks' weights, and the metrics of one small evaluation. `python tests/test_pins.py` rewrites the file.
"""

import json
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

import pytest
import pytorch_lightning as pl
import torch
from conftest import ROOT, TINY, TINY_DCGAN, TINY_MULTISCALE
from fixtures.image_datasets import write_folder
from hydra import compose, initialize_config_dir
from torch import Tensor

from t2f.cli.train import train
from t2f.training.resolvers import quiet_libraries, register_resolvers

PINS = ROOT / "tests/pins.json"
TOLERANCE = float(os.environ.get("T2F_PINS_TOLERANCE", "1e-4"))
"""Relative. Kernels differ between CPU types; on the machine that wrote the file, 1e-6 holds."""
METRIC_TOLERANCE = 1e-4
"""Relative, of the evaluation: rounding may change a pixel of an 8-bit image."""
STEPS = 20

# Only the overrides depend on the names of config keys.
COMMON = [
    "performance.precision=32-true",
    "trainer.accelerator=cpu",
    "callbacks.metrics.every=80",
    "~callbacks.sample_grids",
    "~callbacks.terminal",
]
GROWING = [*TINY, "growth.images=[48,112]"]
JOINT = ["growth.images=[160]"]
LABELS = ["conditioning=attributes", "conditioning.attributes=[Male,Smiling]"]
CONFIGS = {
    "t2f_evaluated": [
        *(each for each in GROWING if each != "evaluation=none"),
        "features._target_=fixtures.toy.TinyFeatures",
        "~features.resolution",
        "evaluation.count=40",
        "evaluation.text_alignment={}",
    ],
    "t2f_wgan_gp_from_generator": [
        *GROWING,
        "loss=wgan_gp",
        "model.encoder_learns_from=generator",
        "model.n_critic=2",
        "model.objectives.contrastive.weight=0",
        "model.objectives.attributes.weight=0",
        "model.discriminator.project=false",
    ],
    "t2f_hinge_diffaugment": [*GROWING, "loss=hinge", "augment=diffaugment", "model.objectives.attributes.weight=0"],
    "t2f_relativistic_rotations": [
        *GROWING,
        *LABELS,
        "loss=relativistic",
        "conditioning.rotations=true",
        "model.objectives.contrastive.weight=0",
    ],
    "t2f_least_squares_no_mismatch": [*GROWING, "loss=least_squares", "model.objectives.mismatched.weight=0"],
    "t2f_partly_labeled": [*GROWING, "data=folder", "model.discriminator.unconditional=true"],
    "t2f_partly_labeled_relativistic": [
        *GROWING,
        "data=folder",
        "loss=relativistic",
        "model.discriminator.unconditional=true",
    ],
    "multiscale": [*TINY_MULTISCALE, *JOINT],
    "multiscale_wgan_gp_diffaugment": [
        *TINY_MULTISCALE,
        *JOINT,
        "loss=wgan_gp",
        "augment=diffaugment",
        "model.optimizers.generator.lr=0.0003",  # at the default rate, 20 steps amplify rounding a thousand times
        "model.optimizers.discriminator.lr=0.0003",
    ],
    "dcgan_attributes": [*TINY_DCGAN, *JOINT, *LABELS],
    "dcgan_text_original": [*TINY_DCGAN, *JOINT, "model.objectives.mismatched.weight=0", "model.ema.half_life=0"],
    "two_processes": [
        *GROWING,
        "data=folder",
        "model.discriminator.unconditional=true",
        "growth.images=[96,224]",
        "growth.batch_sizes=[16,16]",
        "trainer=ddp_spawn",
        "trainer.strategy=ddp_fork_find_unused_parameters_true",
        "trainer.devices=2",
    ],
}
AVATARS_ONLY = ("data.count", "data.held_out")  # data=folder has no such keys


class Recorder(pl.Callback):
    """Writes losses and checksums to a file, in the first process."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)
        self.steps: list[list[float]] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self.steps.append([])

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self.steps[-1].append(loss.item())

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            networks = [child.state_dict().values() for child in pl_module.children() if child.state_dict()]
            weights = [checksum([value for value in network if value.is_floating_point()]) for network in networks]
            self.file.write_text(json.dumps({"losses": self.steps, "weights": weights}))


def checksum(tensors: list[Tensor]) -> list[float]:
    """Return the number of values, their sum and the sum of their squares."""
    values = torch.cat([tensor.double().flatten() for tensor in tensors])
    return [len(values), values.sum().item(), values.square().sum().item()]


def compute_results(name: str, folder: Path) -> dict[str, Any]:
    """Train one config, and return its losses, checksums and metrics."""
    overrides = CONFIGS[name]
    if "data=folder" in overrides:
        overrides = [each for each in overrides if each.split("=")[0] not in AVATARS_ONLY] + partly_labeled(folder)
    record = f"+callbacks.record={{_target_: test_pins.Recorder, file: {folder}/record.json}}"
    places = [f"paths.runs={folder}", f"paths.run={folder}/run"]
    (folder / "run").mkdir()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[*overrides, *COMMON, record, *places])
    metrics = train(cfg)
    found: dict[str, Any] = json.loads((folder / "record.json").read_text())
    assert len(found["losses"]) == STEPS
    return {**found, "metrics": metrics}


def partly_labeled(folder: Path) -> list[str]:
    """Write a folder of images, a third of which have no text, and return the overrides to read it."""
    (folder / "faces").mkdir()
    overrides = write_folder(folder / "faces")
    table = folder / "faces/metadata.jsonl"
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    for row in rows[::3]:
        del row["text"]
    table.write_text("\n".join(map(json.dumps, rows)))
    return overrides


def close(found: float, expected: float, scale: float) -> bool:
    return math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE * scale)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_run_has_the_pinned_results(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "test_pins", sys.modules[__name__])  # so that the config can refer to the callback
    expected, found = json.loads(PINS.read_text())[name], compute_results(name, tmp_path)
    for step, (losses, pinned_losses) in enumerate(zip(found["losses"], expected["losses"], strict=True)):
        message = f"step {step}: {losses}, not {pinned_losses}"
        assert len(losses) == len(pinned_losses), message
        assert all(close(a, b, scale=0.1) for a, b in zip(losses, pinned_losses, strict=True)), message
    for (count, total, squares), (count_then, total_then, squares_then) in zip(
        found["weights"], expected["weights"], strict=True
    ):
        assert count == count_then
        assert close(squares, squares_then, scale=0), (squares, squares_then)
        assert close(total, total_then, scale=math.sqrt(count * squares)), (total, total_then)
    assert found["metrics"] == pytest.approx(expected["metrics"], rel=METRIC_TOLERANCE, abs=METRIC_TOLERANCE)


def write_pins() -> None:
    quiet_libraries()
    register_resolvers()
    torch.set_num_threads(1)
    sys.modules["test_pins"] = sys.modules[__name__]
    pins = {}
    for name in CONFIGS:
        with tempfile.TemporaryDirectory() as folder:
            pins[name] = compute_results(name, Path(folder))
    lines = (f"{json.dumps(name)}: {json.dumps(pin)}" for name, pin in pins.items())
    PINS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write_pins()

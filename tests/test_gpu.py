"""`python train.py` and `t2f evaluate` in bf16 under CUDA's autocast rules: emulated on CPUs, and on a GPU."""

import json
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from conftest import ROOT, TINY, TINY_DCGAN, TINY_MULTISCALE

from t2f.cli.evaluate import evaluate
from t2f.utils.checkpoints import read_checkpoint

sys.modules["test_gpu"] = sys.modules[__name__]  # so that a config can refer to the callback below
RUNS = {
    "default": TINY,
    "t2f_original": ["experiment=t2f_original", *TINY],
    "dcgan": TINY_DCGAN,
    "multiscale": TINY_MULTISCALE,
}


class Terminate(pl.Callback):
    """Sends SIGTERM to this process after `images` images."""

    def __init__(self, images: int) -> None:
        self.images = images

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if pl_module.images_seen == self.images:
            signal.raise_signal(signal.SIGTERM)


def run_train(*overrides: str) -> int:
    """Run `python train.py` in this process, and return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *overrides])
        try:
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


@pytest.mark.parametrize("name", RUNS)
def test_a_run_grows_stops_resumes_and_is_evaluated(name: str, accelerator: str, tmp_path: Path) -> None:
    grows = "growth.resolutions=[4,8]" in RUNS[name]
    last = 72 if grows else 40
    settings = [*RUNS[name], "performance.precision=bf16-mixed", f"trainer.accelerator={accelerator}"]
    settings += [f"paths.runs={tmp_path}", f"name={name}"]
    stop = f"+callbacks.stop={{_target_: test_gpu.Terminate, images: {last - 8}}}"  # stops one step later
    assert run_train(*settings, stop) == 128 + signal.SIGTERM
    (run,) = (tmp_path / name).iterdir()
    stopped = read_checkpoint(run / "checkpoints/last.ckpt")["t2f"]
    assert (stopped["images_seen"], stopped["resolution"], stopped["alpha"] < 1) == (last, 8, grows)

    assert run_train(*settings, "resume=true") == 0
    ended = read_checkpoint(run / "checkpoints/last.ckpt")["t2f"]
    assert (ended["images_seen"], ended["resolution"], ended["alpha"]) == (96 if grows else 48, 8, 1)

    device = "cpu" if accelerator == "cpu" else "cuda"
    evaluate(str(run), [f"device={device}", "evaluation.count=20", "evaluation.real_count=20"], tmp_path)
    figures = json.loads((tmp_path / "report.json").read_text())["figures"]
    assert {"attribute_accuracy", "r_precision", "frechet_distance_efficientnet_lite0"} < set(figures)

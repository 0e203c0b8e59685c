"""What each of two processes does for tests/test_processes.py, which starts this by torchrun.

Lightning runs as it does for `torchrun train.py`; one start serves several short runs, since it takes seconds.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from conftest import TINY, TINY_DCGAN

from t2f.config import quiet_libraries, register_resolvers
from t2f.processes import launch_name
from t2f.stopping import exit_on_signals
from train import train

SETTINGS = ["trainer.accelerator=cpu", "trainer.precision=32-true", "callbacks.sheets.captions=2"]
# 16 a batch, so that both processes have whole groups of the minibatch standard deviation; 9 steps, 3 of them fading.
GROWING = [*TINY, *SETTINGS, "growth.images=[64,80]", "growth.batch_sizes=[16,16]", "growth.fade_in=[0,0.6]"]
# Whatever draws by itself, on labels: few of them, so that many neighbours have the same.
LABELS = ["conditioning=attributes", "attributes=[Male,Smiling]"]
RANDOM = [*LABELS, "loss=wgan_gp", "augment=diffaugment", "model.discriminator.unconditional=true"]
# Measured in training and at its end, by all processes.
UNMEASURED = ("~callbacks.quality", "evaluation=none")
MEASURED = [
    "features._target_=made_up.TinyFeatures",
    "~features.resolution",
    "callbacks.quality.every=32",
    "callbacks.quality.evaluation.count=80",
    "callbacks.quality.evaluation.faithfulness={}",
    "evaluation.count=80",
    "evaluation.faithfulness={}",
]
RUNS = {
    "growing": GROWING,
    "random": [*GROWING, *RANDOM],
    "dcgan": [
        *(each for each in TINY_DCGAN if each not in UNMEASURED),
        *SETTINGS,
        "growth.images=[96]",
        "growth.batch_sizes=[16]",
        *MEASURED,
    ],
}


class SaveWeights(pl.Callback):
    """Those of each process, as they are at the end."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.save(pl_module.state_dict(), Path(self.folder) / f"rank{trainer.global_rank}.pt")


class StopOther(pl.Callback):
    """A signal to the process that is not the first."""

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        if pl_module.images_seen == 80 and trainer.global_rank == 1:
            signal.raise_signal(signal.SIGTERM)


def run(folder: Path, *overrides: str) -> int:
    """Train; the status that the process would end with."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = "+callbacks.weights={_target_: two_processes.SaveWeights, folder: ${paths.run}}"
    both = ["trainer=ddp", "trainer.devices=2", weights, *overrides, f"paths.run={folder}"]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=both)
    try:
        with exit_on_signals():
            train(cfg)
    except SystemExit as ended:
        return int(str(ended.code))
    return 0


def main(out: Path) -> None:
    quiet_libraries()
    register_resolvers()
    told: dict[str, Any] = {"launch": [launch_name(), launch_name()]}
    for name, overrides in RUNS.items():
        run(out / name, *overrides)
    stop = "+callbacks.stop={_target_: two_processes.StopOther}"
    told["status"] = run(out / "stopped", *RUNS["growing"], stop)
    told["stopped_at"] = torch.load(out / "stopped/checkpoints/last.ckpt", weights_only=True)["t2f"]["images_seen"]
    told["status_of_the_rest"] = run(out / "stopped", *RUNS["growing"], "resume=auto")
    (out / f"told{os.environ['RANK']}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    sys.modules["two_processes"] = sys.modules["__main__"]  # for configs to name the callbacks above
    main(Path(sys.argv[1]))

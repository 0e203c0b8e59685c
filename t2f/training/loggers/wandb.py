"""A run on Weights & Biases: its config, metrics, faces and checkpoints, against images seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning_fabric.loggers.logger import rank_zero_experiment
from PIL import Image
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from t2f.training.loggers.csv import CLOCK
from t2f.utils.instantiate import from_yaml

if TYPE_CHECKING:
    from wandb import Run

TAGGED = ("data", "conditioning", "text", "model", "loss", "growth", "experiment")
"""The config groups whose choices a run is tagged with."""


class WandbLogger(Logger):
    """Logs to wandb with images seen as its step and as the axis of every chart.

    A run that goes on in its folder goes on as the same run there. In a sweep, the runs are grouped by the sweep's
    folder. `checkpoints`: whether those of the run's folder become versions of an artifact when training ends, with
    the aliases 4px, 8px, ..., best and latest.
    """

    def __init__(
        self,
        project: str,
        name: str,
        folder: str,
        entity: str | None = None,
        tags: Sequence[str] = (),
        checkpoints: bool = True,
    ) -> None:
        super().__init__()
        self.project = project
        self.run_name = name
        self.folder = Path(folder)
        self.entity = entity
        self.tags = list(tags)
        self.checkpoints = checkpoints
        self.labels = self.place_in_sweep()  # now: a process that Lightning starts does not know Hydra's job
        self.run: Run | None = None
        self.ends_with_training = False
        """Whether another process goes on with the run afterwards, and adds the evaluation."""

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """The run, begun at its first use; of several processes, the first one's alone."""
        if self.run is None:
            import wandb

            known = self.folder / "wandb_id.txt"
            again: dict[str, Any] = {"id": known.read_text(), "resume": "allow"} if known.exists() else {}
            config = from_yaml((self.folder / "config.yaml").read_text(encoding="utf-8"))
            place: dict[str, Any] = {"project": self.project, "entity": self.entity, "dir": self.folder}
            self.run = wandb.init(**place, **self.labels, **again, config=config)
            self.run.define_metric(CLOCK)
            self.run.define_metric("*", step_metric=CLOCK)
            known.write_text(self.run.id)
        return self.run

    def place_in_sweep(self) -> dict[str, Any]:
        """Name, job type, group and tags, which tell the run's place in its sweep and what it is made of."""
        labels = {"name": self.run_name, "job_type": "train", "group": None, "tags": self.tags}
        if HydraConfig.initialized():
            hydra = HydraConfig.get()
            choices = {group: hydra.runtime.choices.get(group) for group in TAGGED}
            labels["tags"] = [*self.tags, *(f"{group}={choice}"[:64] for group, choice in choices.items() if choice)]
            if hydra.mode == RunMode.MULTIRUN:
                sweep = Path(hydra.sweep.dir)
                labels |= {"name": f"{self.run_name}-{self.folder.name}", "job_type": "sweep"}
                labels["group"] = f"{sweep.parent.name}/{sweep.name}"[-128:]
        return labels

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run begins with its config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        self.experiment.log({CLOCK: step, **metrics}, step=step)

    @rank_zero_only
    def log_faces(
        self,
        sheet: Image.Image,
        captions: Sequence[str],
        faces: Sequence[Image.Image],
        scores: Sequence[float],
        step: int,
    ) -> None:
        """The sheet, and a table of its faces: what each was asked to be, and how real and fitting it was found."""
        import wandb

        table = wandb.Table(columns=[CLOCK, "caption", "face", "score"])
        for caption, face, score in zip(captions, faces, scores, strict=True):
            table.add_data(step, caption, wandb.Image(face), score)
        pictures = {"samples/sheet": wandb.Image(sheet, caption=f"after {step:,} images"), "samples/faces": table}
        self.log_metrics(pictures, step=step)

    @rank_zero_only
    def log_time_lapse(self, file: Path, step: int) -> None:
        """The GIF of the growth."""
        import wandb

        self.log_metrics({"samples/growth": wandb.Video(str(file), format="gif")}, step=step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Keep the checkpoints, also those of a run that failed."""
        if self.run is None:
            return
        if self.checkpoints:
            self.keep_checkpoints(self.run)
        if self.ends_with_training:
            self.run.finish(exit_code=int(status != "success"))

    def keep_checkpoints(self, run: Run) -> None:
        import wandb

        # Those named for the images seen are last.ckpt by another name, or older than it.
        named = [file for file in (self.folder / "checkpoints").glob("*.ckpt") if not file.stem.isdigit()]
        for file in sorted(named, key=lambda file: (file.stat().st_mtime, file.stem == "last")):
            artifact = wandb.Artifact(f"checkpoints-{run.id}", type="model")
            artifact.add_file(str(file))
            run.log_artifact(artifact, aliases=["latest"] if file.stem == "last" else [file.stem])

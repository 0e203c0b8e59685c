"""Logging to Weights & Biases: config, metrics, samples and checkpoints."""

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

from t2f.training.loggers.csv import IMAGES_SEEN
from t2f.utils.instantiate import from_yaml

if TYPE_CHECKING:
    from wandb import Run

TAGGED_GROUPS = ("data", "conditioning", "text", "model", "loss", "growth", "experiment")
"""Config groups whose choices become tags of the run."""


class WandbLogger(Logger):
    """Logs to wandb with images seen as the step and as the x-axis of every chart.

    Lightning's WandbLogger makes `trainer/global_step` the axis, writes no step of wandb's own, and uploads only the
    checkpoints of `ModelCheckpoint`.

    A run that is resumed in its folder continues the same wandb run. Runs of a sweep are grouped by the sweep's folder.

    Args:
        project: The wandb project.
        name: Display name of the run.
        folder: Folder of the run, with its `config.yaml`.
        entity: User or team on wandb; None: the default one.
        tags: Tags besides the choices of config groups.
        checkpoints: Whether to upload the checkpoints when training ends, as versions of one artifact with the aliases
            4px, 8px, ..., best and latest.
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
        self.labels = self.run_labels()  # here, since processes that Lightning starts have no HydraConfig
        self.run: Run | None = None
        self.ends_with_training = False
        """Whether another process continues the run after training, to log the evaluation."""

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> Run:
        """The wandb run, which starts at the first use. Only the first process has one."""
        if self.run is None:
            import wandb

            id_file = self.folder / "wandb_id.txt"
            resume: dict[str, Any] = {"id": id_file.read_text(), "resume": "allow"} if id_file.exists() else {}
            config = from_yaml((self.folder / "config.yaml").read_text(encoding="utf-8"))
            project: dict[str, Any] = {"project": self.project, "entity": self.entity, "dir": self.folder}
            self.run = wandb.init(**project, **self.labels, **resume, config=config)
            self.run.define_metric(IMAGES_SEEN)
            self.run.define_metric("*", step_metric=IMAGES_SEEN)
            id_file.write_text(self.run.id)
        return self.run

    def run_labels(self) -> dict[str, Any]:
        """Return name, job type, group and tags of the run, from Hydra's config."""
        labels = {"name": self.run_name, "job_type": "train", "group": None, "tags": self.tags}
        if HydraConfig.initialized():
            hydra = HydraConfig.get()
            choices = {group: hydra.runtime.choices.get(group) for group in TAGGED_GROUPS}
            labels["tags"] = [*self.tags, *(f"{group}={choice}"[:64] for group, choice in choices.items() if choice)]
            if hydra.mode == RunMode.MULTIRUN:
                sweep = Path(hydra.sweep.dir)
                labels |= {"name": f"{self.run_name}-{self.folder.name}", "job_type": "sweep"}
                labels["group"] = f"{sweep.parent.name}/{sweep.name}"[-128:]
        return labels

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run starts with its config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        self.experiment.log({IMAGES_SEEN: step, **metrics}, step=step)

    @rank_zero_only
    def log_faces(
        self,
        grid: Image.Image,
        captions: Sequence[str],
        faces: Sequence[Image.Image],
        scores: Sequence[float],
        step: int,
    ) -> None:
        """Log a grid of samples, and a table of its faces with captions and the discriminator's conditional logits."""
        import wandb

        table = wandb.Table(columns=[IMAGES_SEEN, "caption", "face", "score"])
        for caption, face, score in zip(captions, faces, scores, strict=True):
            table.add_data(step, caption, wandb.Image(face), score)
        samples = {"samples/grid": wandb.Image(grid, caption=f"after {step:,} images"), "samples/faces": table}
        self.log_metrics(samples, step=step)

    @rank_zero_only
    def log_time_lapse(self, file: Path, step: int) -> None:
        """Log the GIF of the growth."""
        import wandb

        self.log_metrics({"samples/growth": wandb.Video(str(file), format="gif")}, step=step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Upload the checkpoints, also those of a run that failed."""
        if self.run is None:
            return
        if self.checkpoints:
            self.upload_checkpoints(self.run)
        if self.ends_with_training:
            self.run.finish(exit_code=int(status != "success"))

    def upload_checkpoints(self, run: Run) -> None:
        import wandb

        # Files named by images seen are links to last.ckpt, or older than it.
        named = [file for file in (self.folder / "checkpoints").glob("*.ckpt") if not file.stem.isdigit()]
        for file in sorted(named, key=lambda file: (file.stat().st_mtime, file.stem == "last")):
            artifact = wandb.Artifact(f"checkpoints-{run.id}", type="model")
            artifact.add_file(str(file))
            run.log_artifact(artifact, aliases=["latest"] if file.stem == "last" else [file.stem])

"""The command `t2f dashboard`: a Weights & Biases workspace defined in code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from t2f.training.loggers.csv import IMAGES_SEEN
from t2f.utils.errors import require
from t2f.utils.extras import needs_extra

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

SWEPT = ("model.optimizers.generator.lr", "model.optimizers.discriminator.lr", "model.ema.half_life")
ACCURACY = "evaluation/attribute_accuracy"


def dashboard(project: str) -> None:
    """Create a workspace in a project and print its URL.

    Args:
        project: ENTITY/PROJECT.

    Raises:
        UserError: the name is invalid, or wandb-workspaces is not installed.
    """
    entity, _, name = project.partition("/")
    require(
        bool(entity and name) and "/" not in name,
        f"{project} is not a project on Weights & Biases: give ENTITY/PROJECT, the end of its URL.",
    )
    saved = build_workspace(entity, name).save()
    Console().print(f"Dashboard: {saved.url}", markup=False, soft_wrap=True)


def build_workspace(entity: str, project: str) -> Workspace:
    """Build the workspace without any network access."""
    with needs_extra("t2f dashboard", "dashboard"):
        import wandb_workspaces.reports.v2 as panels
        from wandb_workspaces import workspaces

    def lines(title: str, *metrics: str, log: bool = False) -> panels.LinePlot:
        return panels.LinePlot(title=title, x=IMAGES_SEEN, y=list(metrics), log_y=log)

    columns = [panels.ParallelCoordinatesPlotColumn(panels.Config(name), log=True) for name in SWEPT]
    columns.append(panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric(ACCURACY)))
    sections = {
        "Faces": [
            panels.MediaBrowser(title="Samples", media_keys=["samples/grid"], num_columns=1),
            panels.MediaBrowser(title="Progressive growing", media_keys=["samples/growth"], num_columns=1),
            panels.WeavePanelSummaryTable(table_name="samples/faces"),
        ],
        "Text alignment": [
            panels.BarPlot(title="Attribute accuracy", metrics=[ACCURACY, f"{ACCURACY}_shuffled"]),
            panels.LinePlot(title="Validation metrics", x=IMAGES_SEEN, metric_regex="quality/.*"),
            panels.LinePlot(title="Evaluation metrics", x=IMAGES_SEEN, metric_regex="evaluation/.*"),
        ],
        "Adversarial training": [
            lines("Losses", "loss/discriminator", "loss/generator"),
            lines("Scores", "score/real", "score/fake", "score/mismatched"),
            lines("Discriminator accuracy", "accuracy/real", "accuracy/fake"),
            lines("Gradient norms", "gradient_norm/generator", "gradient_norm/discriminator", log=True),
            panels.LinePlot(title="Discriminator loss terms", x=IMAGES_SEEN, metric_regex="discriminator/.*"),
            panels.LinePlot(title="Generator loss terms", x=IMAGES_SEEN, metric_regex="generator/.*"),
            lines("Attribute classification", "attributes/images", "attributes/texts"),
        ],
        "Growth": [lines("Resolution", "growth/resolution"), lines("Alpha", "growth/alpha")],
        "Performance": [
            lines("Images per second", "speed/images_per_second"),
            lines("Peak memory (GiB)", "memory/peak_gib"),
        ],
        "Sweeps": [
            panels.ParallelCoordinatesPlot(title="Hyperparameters", columns=columns),
            panels.ParameterImportancePlot(with_respect_to=ACCURACY),
            panels.RunComparer(diff_only="split"),
        ],
    }
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name="Text to face",
        sections=[
            workspaces.Section(name=name, panels=content, is_open=name != "Sweeps")
            for name, content in sections.items()
        ],
        settings=workspaces.WorkspaceSettings(x_axis=IMAGES_SEEN),
        auto_generate_panels=False,
    )

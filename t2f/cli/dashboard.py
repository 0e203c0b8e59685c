"""The panels of a project on Weights & Biases, laid out as code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from t2f.training.loggers.csv import IMAGES_SEEN
from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Workspace

SEARCHED = ("model.optimizers.generator.lr", "model.optimizers.discriminator.lr", "model.ema.half_life")
ACCURACY = "evaluation/attribute_accuracy"


def dashboard(place: str) -> None:
    """Make a workspace with all panels in a project, named as ENTITY/PROJECT, and say where it is."""
    entity, _, project = place.partition("/")
    require(
        bool(entity and project) and "/" not in project,
        f"{place} is no project on Weights & Biases: give ENTITY/PROJECT, as its address ends.",
    )
    saved = workspace(entity, project).save()
    Console().print(f"The dashboard is at {saved.url}", markup=False, soft_wrap=True)


def workspace(entity: str, project: str) -> Workspace:
    """The workspace with its sections and panels; nothing is sent anywhere."""
    try:
        import wandb_workspaces.reports.v2 as panels
        from wandb_workspaces import workspaces
    except ModuleNotFoundError as error:
        raise UserError(f"Dashboards need wandb-workspaces: {install_command('dashboard')} installs it.") from error

    def lines(title: str, *metrics: str, log: bool = False) -> panels.LinePlot:
        return panels.LinePlot(title=title, x=IMAGES_SEEN, y=list(metrics), log_y=log)

    columns = [panels.ParallelCoordinatesPlotColumn(panels.Config(name), log=True) for name in SEARCHED]
    columns.append(panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric(ACCURACY)))
    sections = {
        "Faces": [
            panels.MediaBrowser(title="Sheets", media_keys=["samples/grid"], num_columns=1),
            panels.MediaBrowser(title="Growing", media_keys=["samples/growth"], num_columns=1),
            panels.WeavePanelSummaryTable(table_name="samples/faces"),
        ],
        "Do the faces follow the words?": [
            panels.BarPlot(title="Attribute accuracy", metrics=[ACCURACY, f"{ACCURACY}_shuffled"]),
            panels.LinePlot(title="Quality while training", x=IMAGES_SEEN, metric_regex="quality/.*"),
            panels.LinePlot(title="All figures of the evaluation", x=IMAGES_SEEN, metric_regex="evaluation/.*"),
        ],
        "Adversaries": [
            lines("Losses", "loss/discriminator", "loss/generator"),
            lines("Scores", "score/real", "score/fake", "score/mismatched"),
            lines("Discriminator right", "accuracy/real", "accuracy/fake"),
            lines("Gradient norms", "gradient_norm/generator", "gradient_norm/discriminator", log=True),
            panels.LinePlot(title="Terms of the discriminator's loss", x=IMAGES_SEEN, metric_regex="discriminator/.*"),
            panels.LinePlot(title="Terms of the generator's loss", x=IMAGES_SEEN, metric_regex="generator/.*"),
            lines("Attribute classification", "attributes/images", "attributes/texts"),
        ],
        "Growth": [lines("Resolution", "growth/resolution"), lines("Alpha", "growth/alpha")],
        "Machine": [lines("Images a second", "speed/images_per_second"), lines("Peak GiB", "memory/peak_gib")],
        "Sweeps": [
            panels.ParallelCoordinatesPlot(title="What was tried", columns=columns),
            panels.ParameterImportancePlot(with_respect_to=ACCURACY),
            panels.RunComparer(diff_only="split"),
        ],
    }
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name="Faces from words",
        sections=[
            workspaces.Section(name=name, panels=content, is_open=name != "Sweeps")
            for name, content in sections.items()
        ],
        settings=workspaces.WorkspaceSettings(x_axis=IMAGES_SEEN),
        auto_generate_panels=False,
    )

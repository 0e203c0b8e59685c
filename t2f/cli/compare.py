"""The command `t2f compare`: settings, metrics and generated faces of several runs side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from t2f.cli.evaluate import compose_evaluation, load_dataset
from t2f.data.faces import Faces
from t2f.evaluation.metric_value import MetricValue
from t2f.evaluation.report import number
from t2f.evaluation.runs import Run, differing_settings, distinguishing_settings, find_runs, run_names
from t2f.inference.pipeline import Pipeline
from t2f.utils.errors import UserError
from t2f.utils.files import write_csv
from t2f.utils.images import CAPTION_WIDTH, GAP, captioned_sheet, save_png, to_uint8
from t2f.utils.instantiate import from_yaml
from t2f.utils.progress import track
from t2f.utils.quoting import print_verbatim, shell_command

COMPARABLE = ("count", "real_count", "reference", "features", "extractor", "data_fingerprint")
"""Settings of an evaluation that must be equal for its metrics to be compared."""
SAME_HELD_OUT = ("cache", "resolution", "mirror", "workers", "on_error")
"""Settings of a data set that do not change which faces are held out, nor their captions."""
MIN_CELL_WIDTH = 13  # characters
MAX_ROWS = 6
FACE_SIZE = 96
RUN_GAP = 16  # pixels between two runs

Prompts = tuple[str, Pipeline, list[str]]
"""The name of a run, its model and its descriptions, one per row."""


def compare(places: list[Path], captions: list[str], count: int, seed: int, out: Path) -> None:
    """Print a table of runs, and write compare.csv and compare.png; see `t2f.cli.app.compare`.

    Without `captions`, the runs generate from captions of the same held-out faces, or from the example of their
    conditioner if their data sets differ.

    Raises:
        UserError: there is no run.
    """
    runs = find_runs(places)
    names = run_names(runs)
    console = Console()
    settings = differing_settings(runs)
    warnings = incomparable_evaluations(runs)
    print_table(names, runs, distinguishing_settings(settings), mark_best=not warnings, console=console)
    notes = [*warnings, *(note for run in runs for note in run.notes)]
    write_table(names, runs, settings, out / "compare.csv")
    written = [out / "compare.csv"]

    pipelines, load_notes = load_pipelines(names, runs)
    prompts, prompt_notes = choose_prompts(pipelines, captions)
    if prompts:
        save_png(build_sheet(prompts, count, seed), out / "compare.png")
        written.append(out / "compare.png")
    for note in [*notes, *load_notes, *prompt_notes]:
        console.print(f"note: {note}", style="yellow", markup=False, highlight=False)
    print_verbatim(f"Written: {', '.join(shell_command(str(file)) for file in written)}", console)


def incomparable_evaluations(runs: Sequence[Run]) -> list[str]:
    """Return a warning if the runs were evaluated with different settings."""
    reports = [run.report for run in runs if run.report]
    different = []
    for name in COMPARABLE:
        values = dict.fromkeys(_format_setting(report.get(name)) for report in reports)
        if len(values) > 1:
            different.append(f"{name.replace('_', ' ')} ({', '.join(values)})")
    if not different:
        return []
    return [
        f"The metrics of these runs are not comparable, because the evaluations differ in {' and '.join(different)}: "
        "run t2f evaluate with the same settings for every run."
    ]


def _format_setting(value: Any) -> str:
    return " ".join(f"{each}"[:6] for each in value.values()) if isinstance(value, dict) else str(value)


def print_table(
    names: list[str], runs: list[Run], settings: dict[str, list[Any]], mark_best: bool, console: Console
) -> None:
    """Print one row per run, or one column per run if rows are too wide; a star marks the best value of a metric."""
    columns = {
        "run": names,
        "images seen": [f"{run.images_seen:,}" if run.images_seen is not None else "" for run in runs],
    }
    columns |= settings
    starred = False
    titles = {name: value.title for run in runs for name, value in run.metrics.items()}
    for name, title in titles.items():
        values = [run.metrics.get(name) for run in runs]
        stars = best_indices(values) if mark_best else set()
        starred = starred or bool(stars)
        cells = [number(value.generated) if value else "" for value in values]
        columns[title] = [f"{cell} *" if index in stars else cell for index, cell in enumerate(cells)]
        if any(value and value.shuffled is not None for value in values):
            cells = [number(value.shuffled) if value else "" for value in values]
            columns[f"{title}, shuffled"] = cells
    lines = [list(columns), *(list(row) for row in zip(*columns.values(), strict=True))]
    by_run, by_column = to_table(lines), to_table([list(column) for column in zip(*lines, strict=True)])
    wide = Console(width=10_000)  # a console measures tables up to its own width only
    if wide.measure(by_run).maximum <= console.width:
        console.print(by_run)
    elif MIN_CELL_WIDTH * (len(runs) + 2) <= console.width:
        console.print(by_column)
    else:  # for a pager
        wide.print(by_run)
    if starred:
        console.print("* best run for this metric", style="dim", highlight=False)
    if not any(run.report for run in runs):
        console.print("None of these runs has been evaluated: run t2f evaluate RUN.", style="dim")


def to_table(lines: list[list[str]]) -> Table:
    """Build a table whose first line has the headings; cells are printed without markup."""
    table = Table()
    for index, heading in enumerate(lines[0]):
        table.add_column(Text(heading), justify="right" if index else "left", overflow="fold")
    for line in lines[1:]:
        table.add_row(*map(Text, line))
    return table


def best_indices(values: Sequence[MetricValue | None]) -> set[int]:
    """Return the indices of the best values of a metric; empty if fewer than two can be compared."""
    scores = {}
    for index, value in enumerate(values):
        if value is None or math.isnan(value.generated) or (value.better == "as real" and value.real is None):
            continue
        distance = abs(value.generated - (value.real or 0))
        scores[index] = {"higher": value.generated, "lower": -value.generated, "as real": -distance}[value.better]
    return {index for index in scores if scores[index] == max(scores.values())} if len(scores) > 1 else set()


def write_table(names: list[str], runs: list[Run], settings: dict[str, list[Any]], path: Path) -> None:
    """Write one line per run: the settings that differ, the metrics, and the settings of the evaluation."""
    lines = [
        {"run": name, "folder": run.folder, "images_seen": run.images_seen}
        | {setting: values[index] for setting, values in settings.items()}
        | run.report.get("figures", {})
        | {f"report.{key}": run.report.get(key) for key in (*COMPARABLE, "seed", "truncation")}
        for index, (name, run) in enumerate(zip(names, runs, strict=True))
    ]
    write_csv(path, dict.fromkeys(key for line in lines for key in line), lines, f"the table {path}")


def load_pipelines(names: Sequence[str], runs: Sequence[Run]) -> tuple[dict[str, Pipeline], list[str]]:
    """Load the models of the runs by name; the notes say why some are missing."""
    pipelines, notes = {}, []
    for name, run in track(zip(names, runs, strict=True), "Loading the models", len(runs)):
        if run.checkpoint is None:
            notes.append(f"{name} has no readable checkpoint, so it is not in the image.")
            continue
        try:
            pipelines[name] = Pipeline.load(run.checkpoint)
        except UserError as error:
            notes.append(f"{name} is not in the image: {error}")
    return pipelines, notes


def choose_prompts(pipelines: dict[str, Pipeline], captions: list[str]) -> tuple[list[Prompts], list[str]]:
    """Return `captions` for each model that accepts them; without captions, see `held_out_prompts`."""
    if not captions:
        return held_out_prompts(pipelines)
    prompts, notes = [], []
    for name, pipeline in pipelines.items():
        try:
            for caption in captions:
                notes += [f"{name}: {note}" for note in pipeline.conditioner.notes(caption)]
            prompts.append((name, pipeline, captions))
        except UserError as error:
            notes.append(f"{name} is not in the image: {error}")
    return prompts, notes


def held_out_prompts(pipelines: dict[str, Pipeline]) -> tuple[list[Prompts], list[str]]:
    """Return each model's descriptions of the same held-out faces, or else the example of its conditioner."""
    conditioners = [pipeline.conditioner for pipeline in pipelines.values()]
    examples = [(name, pipeline, [pipeline.conditioner.example]) for name, pipeline in pipelines.items()]
    fallback = "Each run generates from its own example, because"
    try:
        held_out = common_held_out(list(pipelines.values()))
    except UserError as error:
        return examples, [f"{fallback} the data set cannot be loaded: {error}"]
    if held_out is None:
        return examples, [f"{fallback} the runs were not trained on the same data set."]
    descriptions: dict[int, list[str]] = {}
    for face in dict.fromkeys(each.face for one in conditioners for each in one.examples(held_out, MAX_ROWS)):
        of_face = [one.examples(held_out[face : face + 1], 1)[:1] for one in conditioners]
        if len(descriptions) < MAX_ROWS and all(of_face):
            descriptions[face] = [example.description for (example,) in of_face]
    if not descriptions:
        return examples, [f"{fallback} no held-out face has a description for every run."]
    return [
        (*pair, [each[index] for each in descriptions.values()]) for index, pair in enumerate(pipelines.items())
    ], []


def common_held_out(pipelines: list[Pipeline]) -> Faces | None:
    """Return the held-out faces if all models were trained on the same data set, else None."""
    configs = []
    for pipeline in pipelines:
        config = from_yaml(pipeline.config)
        configs.append({name: value for name, value in config["data"].items() if name not in SAME_HELD_OUT})
    if not configs or any(each != configs[0] for each in configs):
        return None
    return load_dataset(pipelines[0], compose_evaluation([]).paths.cache, []).held_out


def build_sheet(prompts: list[Prompts], count: int, seed: int) -> Image.Image:
    """Draw a block of `count` columns per run under its name; captions equal to the previous run's are not repeated.

    A column has one noise vector, the same for all runs.
    """
    blocks: list[Image.Image] = []
    previous: list[str] | None = None
    for name, pipeline, captions in track(prompts, "Generating faces", len(prompts)):
        noise = pipeline.noise(count, seed).repeat(len(captions), 1)
        repeated = [caption for caption in captions for _ in range(count)]
        images: Tensor = to_uint8(pipeline.generate_from_text(repeated, noise))
        heading = shorten(name, count * (FACE_SIZE + GAP) // 8)
        block = captioned_sheet(captions, images.unflatten(0, (len(captions), count)), FACE_SIZE, [heading])
        blocks.append(block.crop((CAPTION_WIDTH, 0, *block.size)) if captions == previous else block)
        previous = captions
    width = sum(block.width for block in blocks) + RUN_GAP * (len(blocks) - 1)
    sheet = Image.new("RGB", (width, max(block.height for block in blocks)), "white")
    left = 0
    for block in blocks:
        sheet.paste(block, (left, 0))
        left += block.width + RUN_GAP
    return sheet


def shorten(name: str, length: int) -> str:
    """Keep the end of a name, because names of runs differ there."""
    return name if len(name) <= length else f"...{name[3 - length :]}"

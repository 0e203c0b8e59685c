"""Several runs side by side: what they were told, what was measured, what they draw."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor

from t2f.cli.evaluate import compose_evaluation, source_of
from t2f.data.faces import Faces
from t2f.evaluation.metric_value import MetricValue
from t2f.evaluation.report import number
from t2f.evaluation.runs import Run, differing, find_runs, names_of, told
from t2f.inference.pipeline import Pipeline
from t2f.utils.errors import UserError, disk_errors
from t2f.utils.images import CAPTION_WIDTH, GAP, captioned_sheet, save_png, to_uint8
from t2f.utils.instantiate import from_yaml
from t2f.utils.progress import track
from t2f.utils.quoting import print_verbatim, shell_command

ALIKE = ("count", "real_count", "reference", "features", "extractor", "data_fingerprint")
"""What must be the same for figures to be compared."""
ASIDE_OF_DATA = ("cache", "resolution", "mirror", "workers", "on_error")
"""What two may differ in, and yet hold out the same faces with the same words."""
CELL = 13  # letters that a cell needs
ROWS = 6
FACE_SIZE = 96
BETWEEN = 16  # pixels between two runs

Asked = tuple[str, Pipeline, list[str]]
"""A run's name, its model, and what it is asked, one description a row."""


def compare(places: list[Path], captions: list[str], count: int, seed: int, out: Path) -> None:
    """Show what `places`' runs differ in and what was measured of them; write compare.csv and compare.png into `out`.

    Each run draws `count` faces for each of `captions`, by the same noise; without captions, for words about the same
    held-out faces.
    """
    runs = find_runs(places)
    names = names_of(runs)
    console = Console()
    settings = differing(runs)
    unlike = taken_otherwise(runs)
    show_table(names, runs, told(settings), mark=not unlike, console=console)
    notes = [*unlike, *(note for run in runs for note in run.notes)]
    write_csv(names, runs, settings, out / "compare.csv")
    written = [out / "compare.csv"]

    pipelines, cannot = load_pipelines(names, runs)
    asked, unclear = ask(pipelines, captions)
    if asked:
        save_png(side_by_side(asked, count, seed), out / "compare.png")
        written.append(out / "compare.png")
    for note in [*notes, *cannot, *unclear]:
        console.print(f"note: {note}", style="yellow", markup=False, highlight=False)
    print_verbatim(f"Written: {', '.join(shell_command(str(file)) for file in written)}", console)


def taken_otherwise(runs: Sequence[Run]) -> list[str]:
    """A warning if figures were not taken alike."""
    reports = [run.report for run in runs if run.report]
    unlike = []
    for name in ALIKE:
        values = dict.fromkeys(_short(report.get(name)) for report in reports)
        if len(values) > 1:
            unlike.append(f"{name.replace('_', ' ')} ({', '.join(values)})")
    if not unlike:
        return []
    return [
        f"Figures of these runs must not be compared, for they were taken with other {' and '.join(unlike)}: take them "
        "anew with t2f evaluate, the same way for every run."
    ]


def _short(value: Any) -> str:
    return " ".join(f"{each}"[:6] for each in value.values()) if isinstance(value, dict) else str(value)


def show_table(names: list[str], runs: list[Run], settings: dict[str, list[Any]], mark: bool, console: Console) -> None:
    """A row a run, or a column a run where that is too wide; with `mark`, a star at the best of each figure."""
    columns = {
        "run": names,
        "images seen": [f"{run.images_seen:,}" if run.images_seen is not None else "" for run in runs],
    }
    columns |= settings
    starred = False
    titles = {name: figure.title for run in runs for name, figure in run.figures.items()}
    for name, title in titles.items():
        figures = [run.figures.get(name) for run in runs]
        stars = best(figures) if mark else set()
        starred = starred or bool(stars)
        cells = [number(figure.drawn) if figure else "" for figure in figures]
        columns[title] = [f"{cell} *" if place in stars else cell for place, cell in enumerate(cells)]
        if any(figure and figure.shuffled is not None for figure in figures):
            cells = [number(figure.shuffled) if figure else "" for figure in figures]
            columns[f"{title}, shuffled"] = cells
    lines = [list(columns), *(list(row) for row in zip(*columns.values(), strict=True))]
    by_run, by_column = as_table(lines), as_table([list(column) for column in zip(*lines, strict=True)])
    wide = Console(width=10_000)  # a console never measures more than its own width
    if wide.measure(by_run).maximum <= console.width:
        console.print(by_run)
    elif CELL * (len(runs) + 2) <= console.width:  # cells may be folded so far
        console.print(by_column)
    else:  # to be read with a pager
        wide.print(by_run)
    if starred:
        console.print("* the best run by this metric", style="dim", highlight=False)
    if not any(run.report for run in runs):
        console.print("None of these runs has been measured: t2f evaluate RUN does it.", style="dim")


def as_table(lines: list[list[str]]) -> Table:
    """The first line has the headings. Cells are shown as they are, without markup."""
    table = Table()
    for place, heading in enumerate(lines[0]):
        table.add_column(_escaped(heading), justify="right" if place else "left", overflow="fold")
    for line in lines[1:]:
        table.add_row(*map(_escaped, line))
    return table


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


def best(figures: Sequence[MetricValue | None]) -> set[int]:
    """The places of the best of a figure; none where there is nothing to compare."""
    worth = {}
    for place, figure in enumerate(figures):
        if figure is None or math.isnan(figure.drawn) or (figure.better == "as real" and figure.real is None):
            continue
        away = abs(figure.drawn - (figure.real or 0))
        worth[place] = {"higher": figure.drawn, "lower": -figure.drawn, "as real": -away}[figure.better]
    return {place for place in worth if worth[place] == max(worth.values())} if len(worth) > 1 else set()


def write_csv(names: list[str], runs: list[Run], settings: dict[str, list[Any]], path: Path) -> None:
    """A line a run: every setting that differs, every figure in full, and how they were taken."""
    lines = []
    for place, (name, run) in enumerate(zip(names, runs, strict=True)):
        taken = {key: run.report.get(key) for key in (*ALIKE, "seed", "truncation")}
        values = {setting: of_runs[place] for setting, of_runs in settings.items()}
        known = {"run": name, "folder": run.folder, "images_seen": run.images_seen}
        lines.append(
            {**known, **values, **run.report.get("figures", {}), **{f"taken.{k}": v for k, v in taken.items()}}
        )
    with disk_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for line in lines for key in line)))
            writer.writeheader()
            writer.writerows(lines)


def load_pipelines(names: Sequence[str], runs: Sequence[Run]) -> tuple[dict[str, Pipeline], list[str]]:
    """The models by the runs' names, and why some are missing."""
    pipelines, notes = {}, []
    for name, run in track(zip(names, runs, strict=True), "Loading the models", len(runs)):
        if run.checkpoint is None:
            notes.append(f"{name} has no checkpoint that can be read, so it is not in the picture.")
            continue
        try:
            pipelines[name] = Pipeline.load(run.checkpoint)
        except UserError as error:
            notes.append(f"{name} is not in the picture: {error}")
    return pipelines, notes


def ask(pipelines: dict[str, Pipeline], captions: list[str]) -> tuple[list[Asked], list[str]]:
    """What each model is asked: `captions`, where it understands them, or words about the same faces in its own way."""
    if not captions:
        return ask_of_the_same_faces(pipelines)
    asked, notes = [], []
    for name, pipeline in pipelines.items():
        try:
            for caption in captions:
                notes += [f"{name}: {note}" for note in pipeline.conditioner.notes(caption)]
            asked.append((name, pipeline, captions))
        except UserError as error:
            notes.append(f"{name} is not in the picture: {error}")
    return asked, notes


def ask_of_the_same_faces(pipelines: dict[str, Pipeline]) -> tuple[list[Asked], list[str]]:
    """Words about held-out faces, where all runs hold out the same; else the example of each conditioner."""
    conditioners = [pipeline.conditioner for pipeline in pipelines.values()]
    own = [(name, pipeline, [pipeline.conditioner.example]) for name, pipeline in pipelines.items()]
    try:
        held_out = held_out_of_all(list(pipelines.values()))
    except UserError as error:
        return own, [f"Each run is asked for its own example, for their data are not at hand: {error}"]
    if held_out is None:
        return own, ["Each run is asked for its own example, for they were not trained on the same data."]
    words: dict[int, list[str]] = {}
    for face in dict.fromkeys(each.face for one in conditioners for each in one.examples(held_out, ROWS)):
        examples = [one.examples(held_out[face : face + 1], 1)[:1] for one in conditioners]
        if len(words) < ROWS and all(examples):
            words[face] = [example.description for (example,) in examples]
    if not words:
        return own, ["Each run is asked for its own example, for no held-out face is described for all of them."]
    return [(*pair, [each[place] for each in words.values()]) for place, pair in enumerate(pipelines.items())], []


def held_out_of_all(pipelines: list[Pipeline]) -> Faces | None:
    """The held-out faces, if all models were trained on the same data, else None."""
    data = []
    for pipeline in pipelines:
        config = from_yaml(pipeline.config)
        data.append({name: value for name, value in config["data"].items() if name not in ASIDE_OF_DATA})
    if not data or any(each != data[0] for each in data):
        return None
    return source_of(pipelines[0], compose_evaluation([]).paths.cache, []).held_out


def side_by_side(asked: list[Asked], count: int, seed: int) -> Image.Image:
    """A block of `count` columns a run, under its name; words once, where all are asked the same."""
    blocks: list[Image.Image] = []
    before: list[str] | None = None
    for name, pipeline, captions in track(asked, "Drawing with the models", len(asked)):
        # One noise vector a column, the same ones for every run.
        noise = pipeline.noise(count, seed)
        rows = [caption for caption in captions for _ in range(count)]
        faces: Tensor = to_uint8(pipeline.draw(rows, noise.repeat(len(captions), 1))).unflatten(
            0, (len(captions), count)
        )
        heading = cut(name, count * (FACE_SIZE + GAP) // 8)
        block = captioned_sheet(captions, faces, FACE_SIZE, [heading])
        blocks.append(block.crop((CAPTION_WIDTH, 0, *block.size)) if captions == before else block)
        before = captions
    width = sum(block.width for block in blocks) + BETWEEN * (len(blocks) - 1)
    sheet = Image.new("RGB", (width, max(block.height for block in blocks)), "white")
    left = 0
    for block in blocks:
        sheet.paste(block, (left, 0))
        left += block.width + BETWEEN
    return sheet


def cut(name: str, length: int) -> str:
    """The end of a name, which tells it from others."""
    return name if len(name) <= length else f"...{name[3 - length :]}"

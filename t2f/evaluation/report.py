"""Reports of an evaluation: in the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.utils.errors import disk_errors
from t2f.utils.images import CAPTION_WIDTH, captioned_sheet, save_png

FACE_SIZE = 96
HEADINGS = ("", "generated", "shuffled text", "real (held out)", "better")
ATTRIBUTE_HEADINGS = ("attribute", "prompts", *HEADINGS[1:4])


def write_report(result: EvaluationResult, about: dict[str, Any], folder: Path, name: str) -> None:
    """Write NAME.json, NAME.md, and NAME.nearest.png with the nearest real images of some generated ones.

    Args:
        result: Result of the evaluation.
        about: Provenance of the result, see `provenance`.
        folder: Folder of the files. It is created if needed.
        name: File name without extension.

    Raises:
        UserError: If a file cannot be written.
    """
    report = {
        "figures": result.flat(),
        "table": [asdict(metric) for metric in result.metrics],
        "attributes": [asdict(attribute) for attribute in result.attributes],
        "notes": result.notes,
        **about,
    }
    with disk_errors(f"the report {folder / name}.json"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / f"{name}.md").write_text(as_markdown(result, about), encoding="utf-8")
    if result.nearest is not None:
        headings = ["generated", "nearest real faces"]
        sheet = captioned_sheet([""] * len(result.nearest), result.nearest, FACE_SIZE, headings)
        save_png(sheet.crop((CAPTION_WIDTH, 0, *sheet.size)), folder / f"{name}.nearest.png")


def as_markdown(result: EvaluationResult, about: dict[str, Any]) -> str:
    """Format a report as Markdown."""
    lines = [
        "# Evaluation",
        "",
        f"{about['count']:,} images generated from descriptions of held-out images, after {about['images_seen']:,} "
        f"training images.{f' Features: {result.features}.' if result.features else ''} *Shuffled text* measures the "
        "same images with mismatched descriptions; *real (held out)* measures held-out real images in place of the "
        "generated ones.",
        "",
        *markdown_table(HEADINGS, [row(metric) for metric in result.metrics]),
    ]
    if result.attributes:
        lines += ["Balanced accuracy by attribute (chance 0.5):", ""]
        lines += markdown_table(ATTRIBUTE_HEADINGS, [attribute_row(each) for each in result.attributes])
    lines += [f"- {note}" for note in result.notes]
    lines += ["", "Settings of the evaluation:", ""]
    lines += [f"- {name.replace('_', ' ')}: {_format(value)}" for name, value in about.items() if value is not None]
    return "\n".join([*lines, ""])


def show(result: EvaluationResult, console: Console) -> None:
    """Print a report."""
    if result.metrics:
        title = f"Quality (features: {result.features})" if result.features else "Quality"
        console.print(_terminal_table(title, HEADINGS, [row(each) for each in result.metrics]))
    if result.attributes:
        title = "Balanced accuracy by attribute (chance 0.5)"
        console.print(_terminal_table(title, ATTRIBUTE_HEADINGS, [attribute_row(each) for each in result.attributes]))
    for note in result.notes:
        console.print(note, style="dim", markup=False, highlight=False)


def number(value: float | None) -> str:
    """Format a value with four significant digits or three decimals; empty for None and NaN."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def row(metric: MetricValue) -> tuple[str, ...]:
    """Cells of a metric under HEADINGS."""
    return (metric.title, *map(number, (metric.generated, metric.shuffled, metric.real)), metric.better)


def attribute_row(attribute: MetricValue) -> tuple[str, ...]:
    """Cells of an attribute under ATTRIBUTE_HEADINGS."""
    return (attribute.title, f"{attribute.count:,}", *row(attribute)[1:4])


def markdown_table(headings: Sequence[str], rows: list[tuple[str, ...]]) -> list[str]:
    """Lines of a Markdown table, and an empty line. All columns but the first are aligned to the right."""
    lines = ["| " + " | ".join(headings) + " |", "|---|" + "---:|" * (len(headings) - 1)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows), ""]


def _terminal_table(title: str, headings: Sequence[str], rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=title, show_edge=False, pad_edge=False)  # to fit into 80 columns
    for index, heading in enumerate(headings):
        table.add_column(heading.replace(" ", "\n", 1), justify="right" if index else "left", no_wrap=True)
    for cells in rows:
        table.add_row(*map(Text, cells))
    return table


def _format(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    is_command = isinstance(value, str) and value.startswith(("t2f ", "python "))
    return f"`{value}`" if is_command else str(value)

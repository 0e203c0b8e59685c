"""Findings for people and for machines: a table in the terminal, NAME.md and NAME.json."""

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
HEADINGS = ("", "generated", "shuffled", "real", "better")


def write_report(result: EvaluationResult, about: dict[str, Any], folder: Path, name: str) -> None:
    """Write NAME.json and NAME.md into `folder`, and NAME.nearest.png, the drawn faces' nearest real ones.

    `about`: what the figures depend on, see `provenance`.
    """
    whole = {
        "figures": result.flat(),
        "table": [asdict(figure) for figure in result.figures],
        "attributes": [asdict(figure) for figure in result.attributes],
        "notes": result.notes,
        **about,
    }
    with disk_errors(f"the report {folder / name}.json"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / f"{name}.md").write_text(as_markdown(result, about), encoding="utf-8")
    if result.nearest is not None:
        headings = ["generated", "nearest real faces"]
        sheet = captioned_sheet([""] * len(result.nearest), result.nearest, FACE_SIZE, headings)
        save_png(sheet.crop((CAPTION_WIDTH, 0, *sheet.size)), folder / f"{name}.nearest.png")


def as_markdown(result: EvaluationResult, about: dict[str, Any]) -> str:
    """The report as a page."""
    lines = [
        "# Evaluation",
        "",
        f"{about['count']:,} faces generated from descriptions of held-out ones, after {about['images_seen']:,} images."
        f"{f' Features: {result.features}.' if result.features else ''} *Shuffled* scores the same faces against "
        "other descriptions; *real* scores held-out real faces in place of generated ones.",
        "",
        *markdown_table(HEADINGS, [row(figure) for figure in result.figures]),
    ]
    if result.attributes:
        lines += ["By attribute, balanced accuracy (chance 0.5):", ""]
        headings = ("attribute", "asked", *HEADINGS[1:4])
        lines += markdown_table(headings, [attribute_row(figure) for figure in result.attributes])
    lines += [f"- {note}" for note in result.notes]
    lines += ["", "How it was measured:", ""]
    lines += [f"- {name.replace('_', ' ')}: {_plain(value)}" for name, value in about.items() if value is not None]
    return "\n".join([*lines, ""])


def show(result: EvaluationResult, console: Console) -> None:
    """The report in the terminal."""
    if result.figures:
        title = f"Quality (features: {result.features})" if result.features else "Quality"
        console.print(_terminal_table(title, HEADINGS, [row(each) for each in result.figures]))
    if result.attributes:
        headings = ("attribute", "asked", *HEADINGS[1:4])
        title = "Balanced accuracy by attribute (chance 0.5)"
        console.print(_terminal_table(title, headings, [attribute_row(each) for each in result.attributes]))
    for note in result.notes:
        console.print(note, style="dim", markup=False, highlight=False)


def number(value: float | None) -> str:
    """Four digits that count, or three after the point."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def row(figure: MetricValue) -> tuple[str, ...]:
    """A figure's cells."""
    return (figure.title, *map(number, (figure.drawn, figure.shuffled, figure.real)), figure.better)


def attribute_row(figure: MetricValue) -> tuple[str, ...]:
    """An attribute's cells."""
    return (figure.title, f"{figure.count:,}", *map(number, (figure.drawn, figure.shuffled, figure.real)))


def markdown_table(headings: Sequence[str], rows: list[tuple[str, ...]]) -> list[str]:
    """Its lines, and an empty one."""
    lines = ["| " + " | ".join(headings) + " |", "|---|" + "---:|" * (len(headings) - 1)]
    return [*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in rows), ""]


def _terminal_table(title: str, headings: Sequence[str], rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=title)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left")
    for cells in rows:
        table.add_row(*map(Text, cells))
    return table


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return (
        f"`{value}`" if isinstance(value, str) and " " in value and value.startswith(("t2f", "python")) else f"{value}"
    )

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

from t2f.evaluation.metric_value import Figure, Findings
from t2f.utils.errors import disk_errors
from t2f.utils.images import CAPTION_WIDTH, captioned_sheet, save_png

FACE_SIZE = 96
HEADINGS = ("", "generated", "shuffled", "real", "better")


def write_report(findings: Findings, about: dict[str, Any], folder: Path, name: str) -> None:
    """Write NAME.json and NAME.md into `folder`, and NAME.nearest.png, the drawn faces' nearest real ones.

    `about`: what the figures depend on, see `provenance`.
    """
    whole = {
        "figures": findings.flat(),
        "table": [asdict(figure) for figure in findings.figures],
        "attributes": [asdict(figure) for figure in findings.attributes],
        "notes": findings.notes,
        **about,
    }
    with disk_errors(f"the report {folder / name}.json"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / f"{name}.md").write_text(as_markdown(findings, about), encoding="utf-8")
    if findings.nearest is not None:
        headings = ["generated", "nearest real faces"]
        sheet = captioned_sheet([""] * len(findings.nearest), findings.nearest, FACE_SIZE, headings)
        save_png(sheet.crop((CAPTION_WIDTH, 0, *sheet.size)), folder / f"{name}.nearest.png")


def as_markdown(findings: Findings, about: dict[str, Any]) -> str:
    """The report as a page."""
    lines = [
        "# Evaluation",
        "",
        f"{about['count']:,} faces generated from descriptions of held-out ones, after {about['images_seen']:,} images."
        f"{f' Features: {findings.features}.' if findings.features else ''} *Shuffled* scores the same faces against "
        "other descriptions; *real* scores held-out real faces in place of generated ones.",
        "",
        *markdown_table(HEADINGS, [row(figure) for figure in findings.figures]),
    ]
    if findings.attributes:
        lines += ["By attribute, balanced accuracy (chance 0.5):", ""]
        headings = ("attribute", "asked", *HEADINGS[1:4])
        lines += markdown_table(headings, [attribute_row(figure) for figure in findings.attributes])
    lines += [f"- {note}" for note in findings.notes]
    lines += ["", "How it was measured:", ""]
    lines += [f"- {name.replace('_', ' ')}: {_plain(value)}" for name, value in about.items() if value is not None]
    return "\n".join([*lines, ""])


def show(findings: Findings, console: Console) -> None:
    """The report in the terminal."""
    if findings.figures:
        title = f"Quality (features: {findings.features})" if findings.features else "Quality"
        console.print(_terminal_table(title, HEADINGS, [row(each) for each in findings.figures]))
    if findings.attributes:
        headings = ("attribute", "asked", *HEADINGS[1:4])
        title = "Balanced accuracy by attribute (chance 0.5)"
        console.print(_terminal_table(title, headings, [attribute_row(each) for each in findings.attributes]))
    for note in findings.notes:
        console.print(note, style="dim", markup=False, highlight=False)


def number(value: float | None) -> str:
    """Four digits that count, or three after the point."""
    if value is None or math.isnan(value):
        return ""
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def row(figure: Figure) -> tuple[str, ...]:
    """A figure's cells."""
    return (figure.title, *map(number, (figure.drawn, figure.shuffled, figure.real)), figure.better)


def attribute_row(figure: Figure) -> tuple[str, ...]:
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

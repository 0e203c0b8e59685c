"""A model as a program of `torch.export`: drawn with torch alone, and compiled ahead of time."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.export import ExportedProgram

from t2f.inference.export.function import check
from t2f.inference.pipeline import Pipeline

PROGRAM = "model.pt2"


def write_program(program: ExportedProgram, pipeline: Pipeline, folder: Path) -> float:
    """Write `PROGRAM` into `folder`; its worst difference from the model once it is read again."""
    torch.export.save(program, folder / PROGRAM)
    return check(torch.export.load(folder / PROGRAM).module(), pipeline, PROGRAM)

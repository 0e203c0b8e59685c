"""Export as a `torch.export` program, which needs torch only and can be compiled ahead of time."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.export import ExportedProgram

from t2f.inference.export.function import check_export
from t2f.inference.pipeline import Pipeline

PROGRAM = "model.pt2"


def write_program(program: ExportedProgram, pipeline: Pipeline, folder: Path) -> float:
    """Write `PROGRAM` into `folder`, load it and compare it with the model.

    Returns:
        The largest absolute difference of a pixel; see `check_export`.
    """
    torch.export.save(program, folder / PROGRAM)
    return check_export(torch.export.load(folder / PROGRAM).module(), pipeline, PROGRAM)

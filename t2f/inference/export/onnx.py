"""Export as ONNX, for onnxruntime, browsers and phones."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from t2f.inference.export.function import INPUTS, OUTPUT, check_export, dynamic_shapes
from t2f.inference.pipeline import Pipeline
from t2f.utils.extras import needs_extra

ONNX = "model.onnx"


def require_onnx() -> None:
    """Raise `UserError` if a package that writes or runs ONNX is missing."""
    with needs_extra("--onnx", "export"):
        import onnxruntime  # noqa: F401  # availability check
        import onnxscript  # noqa: F401  # availability check


def write_onnx(program: ExportedProgram, pipeline: Pipeline, folder: Path) -> float:
    """Write `ONNX` into `folder` and compare it, as onnxruntime runs it, with the model.

    Returns:
        The largest absolute difference of a pixel; see `check_export`.
    """
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.getLogger("onnxscript").setLevel(logging.ERROR)
        exported = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=[*INPUTS],
            output_names=[OUTPUT],
            dynamic_shapes=dynamic_shapes(pipeline),
        )
    assert exported is not None
    exported.save(folder / ONNX)
    session = onnxruntime.InferenceSession(folder / ONNX, providers=["CPUExecutionProvider"])

    def generate(condition: Tensor, noise: Tensor) -> Tensor:
        inputs = dict(zip(INPUTS, (condition.numpy(), noise.numpy()), strict=True))
        return torch.from_numpy(session.run([OUTPUT], inputs)[0])

    return check_export(generate, pipeline, ONNX)

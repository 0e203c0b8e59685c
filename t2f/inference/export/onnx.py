"""A model in ONNX, for all that runs it: onnxruntime, browsers, phones."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from t2f.inference.export.function import INPUTS, OUTPUT, check, free_sizes
from t2f.inference.pipeline import Pipeline
from t2f.utils.errors import UserError
from t2f.utils.extras import install_command

ONNX = "model.onnx"


def require_onnx() -> None:
    """Raise `UserError` unless what writes and runs ONNX is installed."""
    try:
        import onnxruntime  # noqa: F401  # only tried
        import onnxscript  # noqa: F401  # only tried
    except ModuleNotFoundError as error:
        raise UserError(f"For ONNX, {error.name} is missing: {install_command('export')} installs it.") from error


def write_onnx(program: ExportedProgram, pipeline: Pipeline, folder: Path) -> float:
    """Write `ONNX` into `folder`; its worst difference from the model, as onnxruntime runs it."""
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
            dynamic_shapes=free_sizes(pipeline),
        )
    assert exported is not None
    exported.save(folder / ONNX)
    session = onnxruntime.InferenceSession(folder / ONNX, providers=["CPUExecutionProvider"])

    def draw(condition: Tensor, noise: Tensor) -> Tensor:
        inputs = dict(zip(INPUTS, (condition.numpy(), noise.numpy()), strict=True))
        return torch.from_numpy(session.run([OUTPUT], inputs)[0])

    return check(draw, pipeline, ONNX)

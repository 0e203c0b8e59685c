"""The command `t2f export`."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path, PureWindowsPath
from typing import Any

from t2f.cli.evaluate import run_folder
from t2f.cli.generate import describe_model, print_result
from t2f.evaluation.metric_value import MetricValue
from t2f.evaluation.runs import REPORTS
from t2f.inference.export.function import trace
from t2f.inference.export.hub import require_hub, upload
from t2f.inference.export.model_card import REPORT, write_card
from t2f.inference.export.onnx import ONNX, require_onnx, write_onnx
from t2f.inference.export.program import PROGRAM, write_program
from t2f.inference.load import CONFIG, MODEL_CARD, WEIGHTS, find, load, load_folder, save_folder
from t2f.training.resume import TRAINING_SETTINGS
from t2f.utils.errors import disk_errors, require
from t2f.utils.instantiate import from_yaml, to_yaml
from t2f.utils.progress import Task, print_note

FILES = (WEIGHTS, CONFIG, MODEL_CARD, REPORT, ONNX, PROGRAM)


def export(model: str, out: Path, onnx: bool, program: bool, half: bool, hub: str | None, private: bool) -> None:
    """Export a model to a folder, and optionally upload it to the Hugging Face Hub; see `t2f.cli.app.export`.

    ONNX and torch.export files are compared with the exported weights. If a step fails, `out` does not change. An
    earlier export in `out` is replaced.

    Raises:
        UserError: an argument is invalid, a package is missing, or an export differs from the model.
    """
    require_writable(out)
    require(hub is not None or not private, "--private needs --hub OWNER/NAME.")
    if onnx:
        require_onnx()
    if hub is not None:
        require_hub(hub)
    path = find(model)
    pipeline = load(path)
    pipeline.config = publishable_config(pipeline.config)
    encoder = getattr(pipeline.conditioner, "name", "")
    if is_local_path(encoder):
        print_note(
            f"the sentence encoder of this model is the local folder {encoder}; the export contains this path but not "
            "the encoder, so others cannot load the model"
        )
    report = find_report(path if path.is_dir() else run_folder(path), pipeline.images_seen)
    with disk_errors(f"the model in {out}"):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as temporary:
            folder = Path(temporary)
            save_folder(pipeline, folder, half)
            pipeline = load_folder(folder)
            differences = {}
            if onnx or program:
                with Task("Tracing the model"):
                    graph = trace(pipeline)
                if onnx:
                    with Task(f"Writing and checking {ONNX}"):
                        differences[ONNX] = write_onnx(graph, pipeline, folder)
                if program:
                    with Task(f"Writing and checking {PROGRAM}"):
                        differences[PROGRAM] = write_program(graph, pipeline, folder)
            if report:
                (folder / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False), encoding="utf-8")
            write_card(pipeline, hub or out.resolve().name, hub is not None, differences, report, folder / MODEL_CARD)
            out.mkdir(exist_ok=True)
            for name in FILES:
                if (folder / name).exists():
                    (folder / name).replace(out / name)
                else:
                    (out / name).unlink(missing_ok=True)  # of an earlier export with other weights
    errors = "".join(f"; {name} matches it to {worst:.1e}" for name, worst in differences.items())
    print_result(f"{describe_model(model)} written to {out}{errors}. Read its {MODEL_CARD} before you publish it.")
    if hub is not None:
        print_result(f"Uploaded to {upload(out, FILES, hub, private)}")


def require_writable(out: Path) -> None:
    """Raise `UserError` if `out` contains anything that an export would not replace."""
    require(not out.exists() or out.is_dir(), f"--out must be a folder, but {out} is a file.")
    existing = {each.name for each in out.iterdir()} if out.is_dir() else set()
    require(
        not existing or {WEIGHTS, CONFIG} <= existing,
        f"{out} contains files that are not of an earlier export: give a new folder with --out.",
    )


def find_report(folder: Path, images_seen: int) -> dict[str, Any]:
    """Return the report in a folder on the checkpoint after `images_seen`; empty if there is none.

    Its command is left out, because it contains local paths.
    """
    for name in REPORTS:
        try:
            report: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
            [MetricValue(**row) for row in report["table"]]
            if report["images_seen"] == images_seen:
                return {key: value for key, value in report.items() if key != "command"}
        except (OSError, ValueError, KeyError, TypeError):  # missing, damaged, or of an older version
            continue
    return {}


def publishable_config(config: str) -> str:
    """Keep the parts of a model's config that define its training, and shorten local paths to their last part."""
    plain = from_yaml(config)
    return to_yaml(
        {group: shorten_paths(plain[group]) for group in ("name", "resolution", *TRAINING_SETTINGS) if group in plain}
    )


def shorten_paths(value: Any) -> Any:
    """Replace every local path in a nested plain value by its last part."""
    if isinstance(value, dict):
        return {key: shorten_paths(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shorten_paths(each) for each in value]
    return PureWindowsPath(value).name if isinstance(value, str) and is_local_path(value) else value


def is_local_path(text: str) -> bool:
    """Return whether a text is a path of a certain machine: absolute on any system, or relative to home or parent."""
    return re.match(r"/|~|\.\.|\\|\$|%|file:|[A-Za-z]:\S", text) is not None

"""A model written for others: a folder as the Hugging Face Hub has them, and a repository there."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path, PureWindowsPath
from typing import Any

from t2f.cli.evaluate import run_folder
from t2f.cli.generate import by, note, tell
from t2f.evaluation.metric_value import MetricValue
from t2f.evaluation.runs import REPORTS
from t2f.inference.export.function import trace
from t2f.inference.export.hub import require_hub, upload
from t2f.inference.export.model_card import REPORT, write_card
from t2f.inference.export.onnx import ONNX, require_onnx, write_onnx
from t2f.inference.export.program import PROGRAM, write_program
from t2f.inference.load import CARD, CONFIG, WEIGHTS, find, load, load_folder, save_folder
from t2f.training.resume import TRAINING_SETTINGS
from t2f.utils.errors import disk_errors, require
from t2f.utils.instantiate import from_yaml, to_yaml
from t2f.utils.progress import Task

FILES = (WEIGHTS, CONFIG, CARD, REPORT, ONNX, PROGRAM)


def export(model: str, out: Path, onnx: bool, program: bool, half: bool, hub: str | None, private: bool) -> None:
    """Write `FILES` into the folder `out`, as far as asked for, and put them on the Hub.

    The exports are of the weights as they are in the folder, in half precision where that is asked for; each must draw
    what these draw. A folder that holds anything but an earlier export is left alone; what fails leaves nothing behind.
    """
    require_free(out)
    require(hub is not None or not private, "--private is of the repository that --hub OWNER/NAME names.")
    if onnx:
        require_onnx()
    if hub is not None:
        require_hub(hub)
    place = find(model)
    pipeline = load(place)
    pipeline.config = without_places(pipeline.config)
    encoder = getattr(pipeline.conditioner, "name", "")
    if is_place(encoder):
        note(
            f"the model names its sentence encoder by its folder on this machine, {encoder}: that is written into what "
            "others get, and they will not have it"
        )
    report = report_of(place if place.is_dir() else run_folder(place), pipeline.images_seen)
    with disk_errors(f"the model in {out}"):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
            folder = Path(beside)
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
            write_card(pipeline, hub or out.resolve().name, hub is not None, differences, report, folder / CARD)
            out.mkdir(exist_ok=True)
            for name in FILES:
                if (folder / name).exists():
                    (folder / name).replace(out / name)
                else:
                    (out / name).unlink(missing_ok=True)  # of an earlier export, and of other weights
    exact = ", ".join(f"{name} draws the same to {worst:.1e}" for name, worst in differences.items())
    tell(f"{by(model)} written to {out}{f'; {exact}' if exact else ''}. Read its {CARD} before you pass it on.")
    if hub is not None:
        tell(f"It is at {upload(out, FILES, hub, private)}")


def require_free(out: Path) -> None:
    """Raise `UserError` unless `out` can be written without a loss: it is new, empty, or an earlier export."""
    require(not out.exists() or out.is_dir(), f"--out must name a folder, but {out} is a file.")
    there = {each.name for each in out.iterdir()} if out.is_dir() else set()
    require(
        not there or {WEIGHTS, CONFIG} <= there,
        f"{out} holds other things than an earlier export: name a new folder by --out.",
    )


def report_of(folder: Path, images_seen: int) -> dict[str, Any]:
    """What was measured of the model in a run's or an exported folder; empty where that was at another time.

    The command is left out, since it tells of folders.
    """
    for name in REPORTS:
        try:
            report: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
            [MetricValue(**row) for row in report["table"]]
            if report["images_seen"] == images_seen:
                return {key: value for key, value in report.items() if key != "command"}
        except (OSError, ValueError, KeyError, TypeError):  # none, damaged, or of an older t2f
            continue
    return {}


def without_places(config: str) -> str:
    """What a model's config says of its learning; of folders of the machine it learnt on, only their last names."""
    whole = from_yaml(config)
    return to_yaml(
        {group: shortened(whole[group]) for group in ("name", "resolution", *TRAINING_SETTINGS) if group in whole}
    )


def shortened(value: Any) -> Any:
    """A nested plain value with the last name of each path in its place, unless that is one below where t2f runs."""
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shortened(each) for each in value]
    return last_name(value) if isinstance(value, str) and is_place(value) else value


def is_place(text: str) -> bool:
    """Whether a text is a path that tells of a machine: absolute, on any system, or from a home or a folder above."""
    return re.match(r"/|~|\.\.|\\|\$|%|file:|[A-Za-z]:\S", text) is not None


def last_name(path: str) -> str:
    """What comes after the last separator of any system."""
    return PureWindowsPath(path).name

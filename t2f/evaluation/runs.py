"""Training runs in folders: find them, read them, and compare their settings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2f.evaluation.metric_value import MetricValue
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError, first_line, require
from t2f.utils.instantiate import from_yaml

REPORTS = ("report.json", "evaluation.json")
"""Reports of `t2f evaluate` and of the end of the training. The one after more images counts; else the first."""
IGNORED_GROUPS = (
    "callbacks",
    "evaluation",
    "features",
    "logger",
    "metrics",
    "loader",
    "optimized_metric",
    "resume",
)
"""Config groups that do not affect the trained weights."""


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        folder: Folder of the run.
        checkpoint: Newest readable checkpoint, if any.
        config: Resolved config; empty if it is missing or damaged.
        report: Newest report; empty if there is none.
        metrics: Metrics of the report by name.
        images_seen: Images seen at the report, else at the checkpoint.
        notes: Warnings about damaged files.
    """

    folder: Path
    checkpoint: Path | None
    config: dict[str, Any]
    report: dict[str, Any]
    metrics: dict[str, MetricValue]
    images_seen: int | None
    notes: list[str]

    @property
    def settings(self) -> dict[str, Any]:
        """Leaves of the config by their dotted keys, without the run's name and folders."""
        settings = {name: value for name, value in leaves(self.config) if name.split(".")[0] not in ("name", "paths")}
        for folder in ("run", "cache"):  # they differ between equal runs
            if path := self.config.get("paths", {}).get(folder):
                for name, value in settings.items():
                    settings[name] = value.replace(str(path), f"<{folder}>") if isinstance(value, str) else value
        return settings


def leaves(config: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys and values of a nested config of plain values. A list of scalars is one value."""
    if isinstance(config, list) and any(isinstance(each, Mapping) for each in config):
        config = {str(index): each for index, each in enumerate(config)}
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from leaves(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, config


def find_runs(paths: Sequence[Path]) -> list[Run]:
    """Find the runs in folders of runs and in folders that contain runs, each once.

    Raises:
        UserError: If a path does not exist or there are no runs.
    """
    found: dict[Path, Path | None] = {}
    for path in paths:
        require(path.is_dir(), f"There is no folder {path}: give the folder of a run, or a folder that contains runs.")
        for folder, subfolders, files in os.walk(path):
            if is_run(subfolders, files):
                found.setdefault(Path(folder).resolve(), last_checkpoint(Path(folder)))
                subfolders.clear()
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
    require(len(found) > 0, f"There are no runs in {', '.join(map(str, paths))}: train one with python train.py.")
    return [read_run(folder, checkpoint) for folder, checkpoint in found.items()]


def is_run(subfolders: Sequence[str], files: Sequence[str]) -> bool:
    """Whether a folder with these contents is the folder of a run."""
    return "config.yaml" in files or "checkpoints" in subfolders or any(report in files for report in REPORTS)


def last_checkpoint(folder: Path) -> Path | None:
    """Return a run's last.ckpt, else best.ckpt, else its newest checkpoint."""
    checkpoints = {path.name: path for path in (folder / "checkpoints").glob("*.ckpt")}
    newest = max(checkpoints.values(), key=lambda path: path.stat().st_mtime, default=None)
    return checkpoints.get("last.ckpt") or checkpoints.get("best.ckpt") or newest


def read_run(folder: Path, checkpoint: Path | None) -> Run:
    """Read a run. Damaged files are skipped and mentioned in its notes."""
    notes = []
    metadata: dict[str, Any] = {}
    if checkpoint is not None:
        try:
            metadata = read_checkpoint(checkpoint)[CHECKPOINT_KEY]
        except UserError as error:
            notes.append(str(error))
            checkpoint = None
    config: dict[str, Any] = {}
    try:
        file = folder / "config.yaml"
        if file.exists() or "config" in metadata:
            config = from_yaml(file.read_text(encoding="utf-8") if file.exists() else metadata["config"])
    except Exception as error:  # an untrusted checkpoint may contain anything
        notes.append(f"The config of {folder} cannot be read, so its settings are left out ({first_line(error)}).")
    report: dict[str, Any] = {}
    metrics: dict[str, MetricValue] = {}
    for name in REPORTS:
        if (folder / name).exists():
            try:
                read = json.loads((folder / name).read_text(encoding="utf-8"))
                if not report or read["images_seen"] > report["images_seen"]:  # trained further since
                    metrics = {row["name"]: MetricValue(**row) for row in read["table"]}
                    report = read
            except (OSError, ValueError, KeyError, TypeError) as error:
                notes.append(
                    f"{folder / name} is damaged or from an older t2f, so it is skipped ({first_line(error)})."
                )
    seen = report.get("images_seen", metadata.get("images_seen"))
    return Run(folder, checkpoint, config, report, metrics, seen, notes)


def run_names(runs: Sequence[Run]) -> list[str]:
    """Return unique names: those of the configs if they are unique, else the shortest unique ends of the folders."""
    names = [str(run.config.get("name", run.folder.name)) for run in runs]
    if len(set(names)) == len(runs):
        return names
    return ["/".join(unique_suffix(run.folder.parts, [other.folder.parts for other in runs], 1)) for run in runs]


def differing_settings(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """Return the settings that differ between runs, each with its values in all runs; None where a run lacks it."""
    settings = [run.settings for run in runs]
    known = [each for each in settings if each]
    names = dict.fromkeys(name for each in known for name in each)
    differ = [name for name in names if len({repr(each.get(name)) for each in known}) > 1]
    return {name: [each.get(name) for each in settings] for name in differ}


def distinguishing_settings(settings: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Reduce differing settings to those that distinguish the runs, under short names.

    If a class differs, the settings below it are omitted. Of settings with the same values in all runs, which are
    mostly interpolations of one setting, only that with the shortest name is kept.
    """
    classes = [name.removesuffix("_target_") for name in settings if name.endswith("._target_")]
    same: dict[str, list[str]] = {}
    for name, values in settings.items():
        part = name.removesuffix("._target_")
        if name.split(".")[0] not in IGNORED_GROUPS and not any(
            f"{part}.".startswith(each) and part != each[:-1] for each in classes
        ):
            same.setdefault(repr(values), []).append(name)
    chosen = [min(names, key=lambda name: (name.count("."), len(name))) for names in same.values()]
    return {short_name(name, chosen): [format_setting(value) for value in settings[name]] for name in chosen}


def short_name(name: str, names: Sequence[str]) -> str:
    """Shortest unique end of a dotted key among others: at least one part of a class, two parts of a value."""
    min_parts = 1 if name.endswith("._target_") else 2
    return ".".join(unique_suffix(key_parts(name), [key_parts(each) for each in names], min_parts))


def unique_suffix(parts: Sequence[str], others: Sequence[Sequence[str]], min_parts: int) -> Sequence[str]:
    """Return the shortest end of `parts`, of at least `min_parts`, that none of the others has; else all parts."""
    for count in range(min_parts, len(parts)):
        if not any(list(other[-count:]) == list(parts[-count:]) and other != parts for other in others):
            return parts[-count:]
    return parts


def key_parts(name: str) -> Sequence[str]:
    return name.removesuffix("._target_").split(".")


def format_setting(value: Any) -> str:
    """Format a setting: a class as its name, a float with four significant digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "" if value is None else str(value)
    return text.rpartition(".")[2] if text.startswith("t2f.") else text

"""Runs that stand in folders: found, read, and told apart by their settings."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t2f.evaluation.metric_value import MetricValue
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.instantiate import from_yaml

REPORTS = ("report.json", "evaluation.json")
"""What `t2f evaluate` measured, else what the training did at its end."""
ASIDE = (
    "callbacks",
    "evaluation",
    "features",
    "logger",
    "metrics",
    "loader",
    "optimized_metric",
    "resume",
)
"""Groups that do not change what is learnt."""


@dataclass(frozen=True)
class Run:
    """A training: its settings by their dotted names, and what was measured of it, as far as that is there."""

    folder: Path
    checkpoint: Path | None
    config: dict[str, Any]
    report: dict[str, Any]
    figures: dict[str, MetricValue]
    images_seen: int | None
    notes: list[str]

    @property
    def settings(self) -> dict[str, Any]:
        """All leaves of the config; the run's own name and folders are none."""
        own = {name: str(place) for name, place in self.config.get("paths", {}).items() if name in ("run", "cache")}
        return {
            name: in_place_of(value, own)
            for name, value in leaves(self.config)
            if name.split(".")[0] not in ("name", "paths")
        }


def in_place_of(value: Any, own: dict[str, str]) -> Any:
    """A value, with names for the folders that are a run's own: these tell nothing of what it learns."""
    for place, path in own.items():
        value = value.replace(path, f"<{place}>") if isinstance(value, str) else value
    return value


def leaves(config: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted names and values of a nested plain config; a list of plain values is one."""
    if isinstance(config, list) and any(isinstance(each, Mapping) for each in config):
        config = {str(number): each for number, each in enumerate(config)}
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from leaves(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, config


def find_runs(places: Sequence[Path]) -> list[Run]:
    """The runs that `places` are (folders, or a .ckpt file of one), and all those below them; each once.

    Raises `UserError` if a place is not there, or there is no run in any.
    """
    found: dict[Path, Path | None] = {}
    for place in places:
        require(place.exists(), f"There is no {place}: give the folder of a run, or one with runs below it.")
        if place.is_file():
            checkpoints = place.parent.name == "checkpoints"
            found.setdefault((place.parent.parent if checkpoints else place.parent).resolve(), place)
        for path, folders, files in os.walk(place):
            if is_run(folders, files):
                found.setdefault(Path(path).resolve(), last_checkpoint(Path(path)))
                folders.clear()
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
    where = ", ".join(map(str, places))
    require(len(found) > 0, f"There are no runs in {where}: train one with python train.py.")
    return [read_run(folder, checkpoint) for folder, checkpoint in found.items()]


def is_run(folders: Sequence[str], files: Sequence[str]) -> bool:
    """Of a folder with these in it."""
    return "config.yaml" in files or "checkpoints" in folders or any(report in files for report in REPORTS)


def last_checkpoint(folder: Path) -> Path | None:
    """A run's last.ckpt, else its best.ckpt, else its newest."""
    checkpoints = {path.name: path for path in (folder / "checkpoints").glob("*.ckpt")}
    newest = max(checkpoints.values(), key=lambda path: path.stat().st_mtime, default=None)
    return checkpoints.get("last.ckpt") or checkpoints.get("best.ckpt") or newest


def read_run(folder: Path, checkpoint: Path | None) -> Run:
    """What is known of a run. What is damaged is left out, and told by the notes."""
    notes = []
    card: dict[str, Any] = {}
    if checkpoint is not None:
        try:
            card = read_checkpoint(checkpoint)[CHECKPOINT_KEY]
        except UserError as error:
            notes.append(str(error))
            checkpoint = None
    config: dict[str, Any] = {}
    try:
        file = folder / "config.yaml"
        if file.exists() or "config" in card:
            config = from_yaml(file.read_text(encoding="utf-8") if file.exists() else card["config"])
    except Exception as error:  # the system's, yaml's, or of what a stranger's checkpoint has for its config
        notes.append(f"The config of {folder} cannot be read, so its settings are left out ({first_line(error)}).")
    report: dict[str, Any] = {}
    figures: dict[str, MetricValue] = {}
    for name in REPORTS:
        if (folder / name).exists():
            try:
                read = json.loads((folder / name).read_text(encoding="utf-8"))
                if not report or read["images_seen"] > report["images_seen"]:  # it may have gone on since
                    figures = {row["name"]: MetricValue(**row) for row in read["table"]}
                    report = read
            except (OSError, ValueError, KeyError, TypeError) as error:
                notes.append(f"{folder / name} is damaged or of an older t2f, so it is skipped ({first_line(error)}).")
    seen = report.get("images_seen", card.get("images_seen"))
    return Run(folder, checkpoint, config, report, figures, seen, notes)


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__


def names_of(runs: Sequence[Run]) -> list[str]:
    """Their own names where these tell them apart, else the ends of their folders that do."""
    names = [str(run.config.get("name", run.folder.name)) for run in runs]
    if len(set(names)) == len(runs):
        return names
    return ["/".join(ending(run.folder.parts, [other.folder.parts for other in runs], 1)) for run in runs]


def differing(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The settings that are not the same in all runs, each with the runs' values; None where a run has it not."""
    settings = [run.settings for run in runs]
    known = [each for each in settings if each]
    names = dict.fromkeys(name for each in known for name in each)
    differ = [name for name in names if len({repr(each.get(name)) for each in known}) > 1]
    return {name: [each.get(name) for each in settings] for name in differ}


def told(settings: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Of the settings that differ, what it takes to tell the runs apart, under short names.

    Settings of parts that are of another class follow from the class. Of those that differ in the same way (most are
    one setting, handed on) the one with the shortest name stands for all.
    """
    classes = [name.removesuffix("_target_") for name in settings if name.endswith("._target_")]
    same: dict[str, list[str]] = {}
    for name, values in settings.items():
        part = name.removesuffix("._target_")
        if name.split(".")[0] not in ASIDE and not any(
            f"{part}.".startswith(each) and part != each[:-1] for each in classes
        ):
            same.setdefault(repr(values), []).append(name)
    chosen = [min(names, key=lambda name: (name.count("."), len(name))) for names in same.values()]
    return {short(name, chosen): [plain(value) for value in settings[name]] for name in chosen}


def short(name: str, among: Sequence[str]) -> str:
    """The end of a dotted name: of a class its last part, of a value two; more where others end so, too."""
    least = 1 if name.endswith("._target_") else 2
    return ".".join(ending(parts_of(name), [parts_of(each) for each in among], least))


def ending(parts: Sequence[str], among: Sequence[Sequence[str]], least: int) -> Sequence[str]:
    """The last parts, at least so many, that no other ends with."""
    for count in range(least, len(parts)):
        if not any(list(other[-count:]) == list(parts[-count:]) and other != parts for other in among):
            return parts[-count:]
    return parts


def parts_of(name: str) -> Sequence[str]:
    return name.removesuffix("._target_").split(".")


def plain(value: Any) -> str:
    """A value for people: of a class, its name; of a number, four digits that count."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = "" if value is None else str(value)
    return text.rpartition(".")[2] if text.startswith("t2f.") else text

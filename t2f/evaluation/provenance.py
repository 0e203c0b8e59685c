"""Where figures come from, so that another can take them again."""

from __future__ import annotations

import platform
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import t2f
from t2f.data.faces import checksum, fingerprint, labels_checksum
from t2f.evaluation.evaluator import Evaluator
from t2f.training.batches.datamodule import FaceDataset
from t2f.training.resume import PERFORMANCE, TRAINING_SETTINGS
from t2f.utils.instantiate import from_yaml

PACKAGES = ("torch", "torchvision", "torchmetrics", "pytorch-lightning", "timm", "torch-fidelity")


def provenance(
    evaluation: Evaluator, source: FaceDataset, config: str, images_seen: int, device: torch.device
) -> dict[str, Any]:
    """All that figures depend on, as plain values. `config`: the model's, as text."""
    extractor = evaluation.extractor
    return {
        "images_seen": images_seen,
        "count": evaluation.count,
        "real_count": min(evaluation.real_count, len(evaluation.reference_faces(source))),
        "reference": evaluation.reference,
        "seed": evaluation.seed,
        "truncation": evaluation.truncation,
        "features": extractor.name if extractor else None,
        "resize": extractor.resize if extractor else None,
        "extractor": extractor.checksum()[:12] if extractor else None,
        "data": source.name,
        "data_fingerprint": {
            "train": checksum(source.train.images),
            "held_out": checksum(source.held_out.images),
            "words": fingerprint(
                {"train": labels_checksum(source.train), "held_out": labels_checksum(source.held_out)}
            ),
        },
        "config_hash": config_hash(config),
        "git_commit": git_commit(),
        "date": str(date.today()),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
    }


def config_hash(config: str) -> str:
    """Of the settings that decide what is learnt, without folders, nor what only makes it faster."""
    whole = from_yaml(config)
    learnt = {group: whole.get(group) for group in TRAINING_SETTINGS}
    if isinstance(learnt["data"], dict):
        learnt["data"] = {name: value for name, value in learnt["data"].items() if name not in ("cache", "folder")}
    if isinstance(learnt["model"], dict):
        learnt["model"] = {name: value for name, value in learnt["model"].items() if f"model.{name}" != PERFORMANCE}
    return fingerprint(learnt)


def installed(package: str) -> str | None:
    """Its version, None if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Of the code that runs, with + if it has been changed since; None outside a clone."""
    folder = Path(t2f.__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

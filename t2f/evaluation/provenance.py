"""Provenance of a report: all that its values depend on."""

from __future__ import annotations

import platform
import subprocess
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pydoc import locate
from typing import Any

import torch

import t2f
from t2f.data.faces import checksum, fingerprint, labels_checksum
from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.metric_value import identifier
from t2f.training.batches.datamodule import FaceDataset
from t2f.training.resume import PERFORMANCE, TRAINING_SETTINGS
from t2f.utils.instantiate import from_yaml

PACKAGES = ("torch", "torchvision", "torchmetrics", "pytorch-lightning", "timm", "torch-fidelity", "facenet-pytorch")


def provenance(
    evaluator: Evaluator, source: FaceDataset, config: str, images_seen: int, device: torch.device
) -> dict[str, Any]:
    """Collect the settings of an evaluation, checksums of the data, and versions of the software, as plain values."""
    extractor = evaluator.extractor
    return {
        "images_seen": images_seen,
        "count": evaluator.count,
        "real_count": min(evaluator.real_count, len(evaluator.reference_faces(source))),
        "reference": evaluator.reference,
        "seed": evaluator.seed,
        "truncation": evaluator.truncation,
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


def shared_features(evaluator: Evaluator, config: str) -> list[str]:
    """Return a note if the evaluation reads the features that the discriminator was trained on, else no note.

    Args:
        evaluator: Evaluator.
        config: Resolved config of the model's run as YAML.
    """
    trained_on = identifier(discriminator_features(config) or "")
    read = [("image quality", evaluator.extractor.name if evaluator.extractor else None)]
    read += [(name, metric.features) for name, metric in evaluator.text_alignment.items()]
    shared = {name: features for name, features in read if features and identifier(features) == trained_on}
    if not shared:
        return []
    return [
        f"The discriminator was trained on {next(iter(shared.values()))}'s features, which the evaluation of "
        f"{' and '.join(shared)} reads too. This favors the model: evaluate it with another choice of features."
    ]


def discriminator_features(config: str) -> str | None:
    """Return the name of the pretrained features that a run's discriminator reads: `features_name` of its class."""
    model = from_yaml(config).get("model")
    discriminator = model.get("discriminator") if isinstance(model, dict) else None
    target = str(discriminator.get("_target_")) if isinstance(discriminator, dict) else ""
    # An untrusted checkpoint may name any module. `locate` returns None for a class that this version does not have.
    return getattr(locate(target), "features_name", None) if target.startswith("t2f.networks.") else None


def config_hash(config: str) -> str:
    """Checksum of the settings that affect the trained weights; folders and performance settings do not."""
    groups = from_yaml(config)
    relevant = {group: groups.get(group) for group in TRAINING_SETTINGS}
    if isinstance(relevant["data"], dict):
        relevant["data"] = {name: value for name, value in relevant["data"].items() if name not in ("cache", "folder")}
    if isinstance(relevant["model"], dict):
        relevant["model"] = {name: value for name, value in relevant["model"].items() if f"model.{name}" != PERFORMANCE}
    return fingerprint(relevant)


def installed(package: str) -> str | None:
    """Return the version of a package, or None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Return the commit of the running code, with "+" if there are uncommitted changes; None outside a clone."""
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

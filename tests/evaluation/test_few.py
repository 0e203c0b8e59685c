"""Training and evaluation on data sets with few images, few descriptions or constant attributes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY
from fixtures.image_datasets import write_image
from omegaconf import DictConfig

from t2f.cli.train import train
from t2f.evaluation.evaluator import Evaluator
from t2f.metrics.attribute_classifier import train_classifier
from t2f.metrics.distances import FrechetDistance, KernelDistance
from t2f.metrics.neighbors import Diversity, Memorization, PrecisionRecall
from t2f.utils.errors import UserError

Tiny = Callable[..., DictConfig]
AVATAR_SETTINGS = ("data.count=40", "data.held_out=8", "evaluation=none", "~callbacks.validation")
WITH_EVALUATION = [
    *(each for each in TINY if each not in AVATAR_SETTINGS),
    "data=folder",
    "data.workers=1",
    "evaluation=full",
    "callbacks.validation.every=40",
    "features._target_=fixtures.toy.TinyFeatures",
    "~features.resolution",
    *(f"{part}.count=12" for part in ("evaluation", "callbacks.validation.evaluation")),
]


def write_folder(folder: Path, count: int, **columns: Callable[[int], object]) -> Path:
    """Write images and metadata.jsonl with a value of each column for each image."""
    rng = np.random.default_rng(0)
    for index in range(count):
        write_image(folder / f"{index}.png", (16, 16), rng)
    rows = [{"file_name": f"{i}.png", **{name: column(i) for name, column in columns.items()}} for i in range(count)]
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.mark.parametrize("count", [2, 3, 10, 50, 100])
@pytest.mark.parametrize("resolution", [4, 8])
def test_training_and_evaluation_on_few_images(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, resolution: int
) -> None:
    folder = write_folder(
        tmp_path / "faces",
        count,
        text=lambda index: "a smiling woman" if index % 2 else "a man with a hat",
        Smiling=lambda index: index % 2,
    )
    small = ["resolution=4", "growth.resolutions=[4]", "model.networks.generator.channels=[16]"]
    small += ["growth.images=[48]", "growth.fade_in=[0]", "growth.batch_sizes=[8]"]
    metrics = train(tiny(f"data.folder={folder}", *(small if resolution == 4 else []), base=WITH_EVALUATION))
    assert metrics["images_seen"] == metrics["images_planned"]
    report = json.loads((tmp_path / "run/evaluation.json").read_text())
    warnings = capsys.readouterr().err
    if count <= 3:
        metric = "frechet_distance" if count == 2 else "precision_recall"
        assert f"there are too few images to measure {metric}" in warnings
        assert "Not measured: precision recall: At least 4 real images are needed" in " ".join(report["notes"])
    else:
        assert "too few" not in warnings
        assert "precision_tiny" in report["figures"]


def test_single_image_raises_an_error_before_the_training(tiny: Tiny, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", 1, text=lambda _: "a man")
    with pytest.raises(UserError, match="held_out"):
        train(tiny(f"data.folder={folder}", base=WITH_EVALUATION))
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_held_out_images_without_descriptions_raise_an_error_before_the_training(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    write_folder(folder / "train", 6, text=lambda _: "a man")
    write_folder(folder / "test", 3, text=lambda _: "")

    def without(*prefixes: str) -> list[str]:
        return [each for each in WITH_EVALUATION if not each.startswith(prefixes)]

    only_at_end = [*without("callbacks.validation"), "~callbacks.validation"]
    only_validation = [*without("evaluation"), "evaluation=none"]
    for base in (WITH_EVALUATION, only_at_end, only_validation):
        with pytest.raises(UserError, match=r"None of the held-out faces has a caption.*evaluation=none '~callbacks"):
            train(tiny(f"data.folder={folder}", base=base))
        assert not list((tmp_path / "run").rglob("*.ckpt"))
    neither = without("callbacks.validation", "evaluation")
    train(tiny(f"data.folder={folder}", "evaluation=none", "~callbacks.validation", base=neither))


def test_constant_attributes_and_equal_descriptions_are_noted(tiny: Tiny, tmp_path: Path) -> None:
    for names, note in (
        (["Smiling", "Male"], "Not measured, because all descriptions specify the same value: Smiling, Male"),
        (["Glad", "Tall"], "all descriptions are equal"),  # no caption mentions these attributes
    ):
        columns = dict.fromkeys(names, lambda _: 1)
        folder = write_folder(tmp_path / names[0], 12, text=lambda _: "a smiling man", **columns)
        train(tiny(f"data.folder={folder}", base=WITH_EVALUATION))
        notes = " ".join(json.loads((tmp_path / "run/evaluation.json").read_text())["notes"])
        assert note in notes


def test_equal_images_are_noted(tiny: Tiny, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", 12, text=lambda index: f"a man, number {index % 3}")
    for index in range(12):
        (folder / f"{index}.png").write_bytes((folder / "0.png").read_bytes())
    train(tiny(f"data.folder={folder}", base=WITH_EVALUATION))
    notes = " ".join(json.loads((tmp_path / "run/evaluation.json").read_text())["notes"])
    assert "Not measured: diversity: All real images have the same features" in notes


def test_classifier_of_unlabeled_images_is_finite() -> None:
    from fixtures.toy import faces

    unlabeled = faces(0, 6)
    unlabeled.attributes[:] = -1
    classifier = train_classifier(unlabeled, torch.device("cpu"))
    assert all(bool(weight.isfinite().all()) for weight in classifier.parameters())


def test_too_few_images_are_reported_before_the_evaluation(tmp_path: Path) -> None:
    from fixtures.toy import TinyFeatures, ToyDataset

    metrics = {
        "frechet": FrechetDistance(),
        "kernel": KernelDistance(),
        "precision": PrecisionRecall(neighbors=3),
        "diversity": Diversity(),
        "copies": Memorization(),
    }
    evaluator = Evaluator(10, 10, "train", 0, str(tmp_path), TinyFeatures, metrics, {})
    assert evaluator.too_few(ToyDataset(train=4)) is None
    assert evaluator.too_few(ToyDataset(train=3)) == (
        "there are too few images to measure precision (10 generated, 3 real of train): add faces to train, or remove "
        "these metrics"
    )
    assert "frechet, kernel, precision, diversity, copies" in (evaluator.too_few(ToyDataset(train=1)) or "")
    few_generated = Evaluator(3, 10, "train", 0, str(tmp_path), TinyFeatures, metrics, {})
    assert "increase the evaluation's count" in (few_generated.too_few(ToyDataset(train=20)) or "")

"""Data sets of few faces, few words and attributes without contrast: they are trained on and measured, or refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY
from fixtures.drawn import draw_picture
from omegaconf import DictConfig

from t2f.evaluation.evaluator import Evaluator
from t2f.metrics.attribute_classifier import train_classifier
from t2f.metrics.distances import FrechetDistance, KernelDistance
from t2f.metrics.neighbors import Diversity, Memorization, PrecisionRecall
from t2f.utils.errors import UserError
from train import train

Tiny = Callable[..., DictConfig]
OF_AVATARS = ("data.count=40", "data.held_out=8", "evaluation=none", "~callbacks.validation")
MEASURED = [
    *(each for each in TINY if each not in OF_AVATARS),
    "data=folder",
    "data.workers=1",
    "evaluation=full",
    "callbacks.validation.every=40",
    "features._target_=fixtures.made_up.TinyFeatures",
    "~features.resolution",
    *(f"{part}.count=12" for part in ("evaluation", "callbacks.validation.evaluation")),
]


def write_folder(folder: Path, count: int, **columns: Callable[[int], object]) -> Path:
    """Pictures with a table of what `columns` say of each."""
    rng = np.random.default_rng(0)
    for number in range(count):
        draw_picture(folder / f"{number}.png", (16, 16), rng)
    rows = [{"file_name": f"{number}.png", **{k: of(number) for k, of in columns.items()}} for number in range(count)]
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


@pytest.mark.parametrize("count", [2, 3, 10, 50, 100])
@pytest.mark.parametrize("resolution", [4, 8])
def test_few_pictures_are_trained_on_and_measured(
    tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int, resolution: int
) -> None:
    folder = write_folder(
        tmp_path / "faces",
        count,
        text=lambda number: "a smiling woman" if number % 2 else "a man with a hat",
        Smiling=lambda number: number % 2,
    )
    small = ["resolution=4", "growth.resolutions=[4]", "model.networks.generator.channels=[16]"]
    small += ["growth.images=[48]", "growth.fade_in=[0]", "growth.batch_sizes=[8]"]
    figures = train(tiny(f"data.folder={folder}", *(small if resolution == 4 else []), base=MEASURED))
    assert figures["images_seen"] == figures["images_planned"]
    report = json.loads((tmp_path / "run/evaluation.json").read_text())
    told = capsys.readouterr().err
    if count <= 3:
        assert f"there are too few faces to measure {'frechet_distance' if count == 2 else 'precision_recall'}" in told
        assert any("Not measured: PrecisionRecall needs 4 real faces" in note for note in report["notes"])
    else:
        assert "too few" not in told
        assert "precision_tiny" in report["figures"]


def test_a_single_picture_is_refused_before_the_training(tiny: Tiny, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", 1, text=lambda _: "a man")
    with pytest.raises(UserError, match="held_out"):
        train(tiny(f"data.folder={folder}", base=MEASURED))
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_words_that_are_missing_in_what_is_held_out_are_told_before_the_training(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    write_folder(folder / "train", 6, text=lambda _: "a man")
    write_folder(folder / "test", 3, text=lambda _: "")
    plain = [each for each in MEASURED if not each.startswith(("callbacks.validation", "evaluation"))]
    at_end = [each for each in MEASURED if not each.startswith("callbacks.validation")] + ["~callbacks.validation"]
    meanwhile = [each for each in MEASURED if not each.startswith("evaluation")] + ["evaluation=none"]
    for base in (MEASURED, at_end, meanwhile):
        with pytest.raises(UserError, match=r"None of the faces held out is described.*evaluation=none '~callbacks"):
            train(tiny(f"data.folder={folder}", base=base))
        assert not list((tmp_path / "run").rglob("*.ckpt"))
    train(tiny(f"data.folder={folder}", "evaluation=none", "~callbacks.validation", base=plain))


def test_attributes_without_contrast_and_words_without_difference_are_no_hindrance(tiny: Tiny, tmp_path: Path) -> None:
    for names, told in (
        (["Smiling", "Male"], "Asked for one way only, and so not measured: Smiling, Male"),
        (["Glad", "Tall"], "All words of the evaluation are the same"),  # which no sentence speaks of
    ):
        columns = dict.fromkeys(names, lambda _: 1)
        folder = write_folder(tmp_path / names[0], 12, text=lambda _: "a smiling man", **columns)
        train(tiny(f"data.folder={folder}", base=MEASURED))
        notes = " ".join(json.loads((tmp_path / "run/evaluation.json").read_text())["notes"])
        assert told in notes


def test_pictures_that_are_all_the_same_are_no_hindrance(tiny: Tiny, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", 12, text=lambda number: f"a man, number {number % 3}")
    for number in range(12):
        (folder / f"{number}.png").write_bytes((folder / "0.png").read_bytes())
    train(tiny(f"data.folder={folder}", base=MEASURED))
    notes = " ".join(json.loads((tmp_path / "run/evaluation.json").read_text())["notes"])
    assert "Not measured: All real faces have the same features" in notes


def test_a_batch_of_which_nothing_is_known_teaches_nothing() -> None:
    from fixtures.made_up import faces

    some = faces(0, 6)
    some.attributes[:] = -1
    classifier = train_classifier(some, torch.device("cpu"))
    assert all(bool(weight.isfinite().all()) for weight in classifier.parameters())


def test_how_many_faces_are_needed_is_known_before(tmp_path: Path) -> None:
    from fixtures.made_up import MadeUp, TinyFeatures

    metrics = {
        "frechet": FrechetDistance(),
        "kernel": KernelDistance(),
        "manifolds": PrecisionRecall(neighbors=3),
        "diversity": Diversity(),
        "copies": Memorization(),
    }
    evaluation = Evaluator(10, 10, "train", 0, str(tmp_path), TinyFeatures, metrics, {})
    assert evaluation.too_few(MadeUp(train=4)) is None
    told = evaluation.too_few(MadeUp(train=3)) or ""
    assert told == (
        "there are too few faces to measure manifolds, 10 drawn ones and 3 real ones of train: add faces to train, "
        "or do without"
    )
    assert "frechet, kernel, manifolds, variety, copies" in (evaluation.too_few(MadeUp(train=1)) or "")
    few_drawn = Evaluator(3, 10, "train", 0, str(tmp_path), TinyFeatures, metrics, {})
    assert "raise the evaluation's count" in (few_drawn.too_few(MadeUp(train=20)) or "")

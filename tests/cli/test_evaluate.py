import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT, TINY, TINY_DCGAN
from hydra import compose, initialize_config_dir

from t2f.cli.app import run
from t2f.cli.evaluate import evaluate
from t2f.cli.train import train
from t2f.data.faces import Faces
from t2f.evaluation import attribute_alignment as attributes
from t2f.metrics.attribute_classifier import AttributeClassifier
from t2f.networks.efficientnet import Network
from t2f.networks.progressive import ProgressiveDiscriminator
from t2f.utils.errors import UserError

TINY_FEATURES = ["features._target_=fixtures.toy.TinyFeatures", "~features.resolution"]
FAST = [*TINY_FEATURES, "evaluation=default", "evaluation.count=20"]
NO_ALIGNMENT = ["evaluation.text_alignment={}"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with text conditioning and one with attributes."""
    runs = tmp_path_factory.mktemp("runs")
    for name in ("words", "labels"):
        (runs / name).mkdir()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        train(compose("train", overrides=[*TINY, f"paths.run={runs}/words"]))
        train(compose("train", overrides=[*TINY_DCGAN, "conditioning=attributes", f"paths.run={runs}/labels"]))
    return runs


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


def test_a_quick_evaluation_trains_its_classifier_on_few_faces(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    original = attributes.cached_classifier

    def count_and_train(faces: Faces, cache: Path, device: torch.device, network: Network) -> AttributeClassifier:
        counts.append(len(faces))
        return original(faces, cache, device, network)

    monkeypatch.setattr(attributes, "cached_classifier", count_and_train)
    quick = [*TINY_FEATURES, "evaluation=quick", "evaluation.text_alignment.attributes.most_faces=16"]
    evaluate(str(runs / "words"), quick, tmp_path)
    figures = report(tmp_path)["figures"]
    assert counts == [16]
    assert "attribute_accuracy" in figures and "r_precision" not in figures
    assert report(tmp_path)["count"] == 200
    with pytest.raises(ValueError, match="most_faces must be at least 1, but is 0"):
        attributes.AttributeAlignment(most_faces=0)


@pytest.mark.parametrize("name", ["words", "labels"])
def test_the_command_in_a_report_reproduces_it(
    runs: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(str(runs / name), FAST, None)
    first = report(runs / name)
    assert {"frechet_distance_tiny", "precision_tiny", "attribute_accuracy"} < set(first["figures"])
    assert first["images_seen"] == {"words": 96, "labels": 48}[name]
    assert first["count"] == 20
    output = capsys.readouterr().out
    assert "features: tiny" in output
    assert "frechet distance" in output
    assert (runs / name / "report.md").exists()

    program, *arguments = shlex.split(first["command"])
    assert program == "t2f"
    monkeypatch.setattr(sys, "argv", [program, *arguments, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 0
    again = report(tmp_path)
    assert again.pop("command") != first.pop("command")
    assert again == first


def test_retrieval_is_part_of_the_full_evaluation(runs: Path, tmp_path: Path) -> None:
    evaluate(str(runs / "words"), [*TINY_FEATURES, "evaluation.count=20"], tmp_path)
    assert {"r_precision", "r_precision_shuffled", "r_precision_real"} < set(report(tmp_path)["figures"])


def test_face_detection_rate_is_in_the_report(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("facenet_pytorch", reason="facenet-pytorch is missing: pip install -e '.[faces]'")
    evaluate(str(runs / "words"), [*FAST, *NO_ALIGNMENT, "metrics=faces"], tmp_path)
    figures = report(tmp_path)["figures"]
    assert {"face_detection_rate", "face_detection_rate_real", "frechet_distance_tiny"} < set(figures)
    assert "| face detection rate | " in (tmp_path / "report.md").read_text()
    assert "facenet-pytorch" in report(tmp_path)["versions"]


def test_features_of_the_discriminator_are_noted(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ProgressiveDiscriminator, "features_name", "tiny", raising=False)
    evaluate(str(runs / "words"), [*FAST, *NO_ALIGNMENT], tmp_path)
    note = "The discriminator was trained on tiny's features"
    assert note in " ".join(report(tmp_path)["notes"])
    assert note in capsys.readouterr().out


def test_data_overrides_change_the_data_set(runs: Path, tmp_path: Path) -> None:
    evaluate(str(runs / "words"), [*FAST, *NO_ALIGNMENT, "data.count=30"], tmp_path)
    assert report(tmp_path)["real_count"] == 30


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.folder=/nowhere"], r"data\.folder=/nowhere is not a setting of this data set, which has data\.cache"),
        (["evaluation.cuont=3"], "are invalid for conf/evaluate.yaml: .*cuont"),
        (["features=vgg"], "are invalid for conf/evaluate.yaml: .*vgg"),
        (["device=tpu"], "There is no device tpu here"),
        (["evaluation.reference=all"], "evaluation.reference must be train or held_out"),
    ],
)
def test_invalid_settings_are_reported_in_one_sentence(
    runs: Path, tmp_path: Path, overrides: list[str], message: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    arguments = ["t2f", "evaluate", str(runs / "words"), *FAST, *NO_ALIGNMENT, *overrides, "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 1
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_a_run_without_a_checkpoint_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint in the folder"):
        evaluate(str(tmp_path), [], None)

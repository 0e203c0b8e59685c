import json
import re
import subprocess
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from fixtures.toy import TinyFeatures, ToyDataset
from PIL import Image
from rich.console import Console

from t2f.evaluation.attribute_alignment import AttributeAlignment
from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.metric_value import EvaluationResult, MetricValue
from t2f.evaluation.provenance import config_hash, git_commit, provenance, shared_features
from t2f.evaluation.report import as_markdown, number, show, write_report
from t2f.metrics.distances import FrechetDistance
from t2f.networks.dcgan import DCGANDiscriminator
from t2f.utils.errors import UserError

RESULT = EvaluationResult(
    [MetricValue("fid", "FID", 12.3456, real=None, better="lower"), MetricValue("acc", "accuracy", 0.9, 0.5, 0.95)],
    [MetricValue("Smiling", "Smiling", 0.8, 0.5, None, count=1234)],
    ["A note."],
)
ABOUT = {"count": 1000, "images_seen": 68000, "features": "Inception", "versions": {"torch": "2.0"}, "git_commit": None}


def test_report_is_written_as_json_and_markdown(tmp_path: Path) -> None:
    write_report(RESULT, ABOUT, tmp_path / "new", "report")
    report = json.loads((tmp_path / "new/report.json").read_text())
    assert report["figures"] == {"fid": 12.3456, "acc": 0.9, "acc_shuffled": 0.5, "acc_real": 0.95}
    assert report["table"][0] == {
        "name": "fid", "title": "FID", "generated": 12.3456, "shuffled": None, "real": None, "count": None,
        "better": "lower",
    }  # fmt: skip
    assert report["attributes"][0]["count"] == 1234
    assert report["features"] == "Inception"
    page = (tmp_path / "new/report.md").read_text()
    assert "| FID | 12.35 |  |  | lower |" in page
    assert "| accuracy | 0.900 | 0.500 | 0.950 | higher |" in page
    assert "| Smiling | 1,234 | 0.800 | 0.500 |  |" in page
    assert "- A note." in page
    assert "- versions: torch 2.0" in page
    assert "git commit" not in page


def test_report_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULT, Console(width=120))
    shown = capsys.readouterr().out
    for text in ("FID", "12.35", "0.950", "Smiling", "1,234", "A note."):
        assert text in shown


def test_titles_are_not_wrapped_at_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    titles = ["frechet distance", "attribute accuracy (chance 0.5)", "R-precision of 100 (chance 0.01)"]
    metrics = [MetricValue(title, title, 1234.5, 0.5, 0.5, better="as real") for title in titles]
    show(EvaluationResult(metrics, features="EfficientNet-Lite0"), Console(width=80))
    shown = capsys.readouterr().out
    assert shown.count("EfficientNet-Lite0") == 1
    for text in (*titles, "generated", "shuffled", "(held out)", "as real"):
        assert text in shown


def test_nearest_real_images_are_written_as_png(tmp_path: Path) -> None:
    write_report(EvaluationResult(nearest=torch.zeros(3, 5, 3, 8, 8, dtype=torch.uint8)), ABOUT, tmp_path, "report")
    assert Image.open(tmp_path / "report.nearest.png").size == (5 * 100 + 4, 3 * 100 + 21)


def test_report_without_attributes_has_no_table_of_them() -> None:
    assert "by attribute" not in as_markdown(EvaluationResult(RESULT.metrics), ABOUT)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (0.12345, "0.123"), (12.345, "12.35"), (-1234.56, "-1,234.6"), (1.0, "1.000")],
)
def test_numbers_are_rounded(value: float | None, text: str) -> None:
    assert number(value) == text


def test_unwritable_folder_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="report"):
        write_report(RESULT, ABOUT, tmp_path / "file" / "below", "report")


def about(source: ToyDataset, config: str = "seed: 0") -> dict[str, object]:
    metrics = {"frechet_distance": FrechetDistance()}
    evaluator = Evaluator(10, 250, "train", 7, "unused", TinyFeatures, metrics, {})
    return provenance(evaluator, source, config, 42, torch.device("cpu"))


def test_provenance_has_settings_and_versions() -> None:
    values = about(ToyDataset())
    assert (values["count"], values["seed"], values["reference"], values["images_seen"]) == (10, 7, "train", 42)
    assert values["real_count"] == 250
    assert about(ToyDataset(train=20))["real_count"] == 20
    assert (values["features"], values["resize"], values["device"]) == ("tiny", "none", "cpu")
    assert values["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]  # type: ignore[index]  # read from JSON
    assert values == about(ToyDataset())


def test_checksums_change_with_data_and_config() -> None:
    other = ToyDataset()
    other.train.images[0, 0, 0, 0] ^= 1
    assert about(other)["data_fingerprint"] != about(ToyDataset())["data_fingerprint"]
    relabeled = ToyDataset()
    relabeled.held_out.attributes[0, 0] ^= 1
    assert about(relabeled)["data_fingerprint"] != about(ToyDataset())["data_fingerprint"]
    assert about(ToyDataset(), "seed: 1")["config_hash"] != about(ToyDataset())["config_hash"]
    elsewhere = "seed: 0\ndata: {folder: /elsewhere, cache: /there, crop: 1}\npaths: {run: /here}"
    assert config_hash(elsewhere) == config_hash("seed: 0\ndata: {crop: 1}")
    assert config_hash(elsewhere) != config_hash("seed: 0\ndata: {crop: 2}")
    assert config_hash("model: {width: 1, performance: {compile: true}}") == config_hash("model: {width: 1}")


def test_features_that_the_discriminator_was_trained_on_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics, alignment = {"frechet_distance": FrechetDistance()}, {"attributes": AttributeAlignment()}
    evaluator = Evaluator(10, 250, "train", 7, "unused", TinyFeatures, metrics, alignment)
    config = "model: {discriminator: {_target_: t2f.networks.dcgan.DCGANDiscriminator}}"
    for name, read in (("tiny", "image quality"), ("EfficientNet-Lite0", "attributes")):
        monkeypatch.setattr(DCGANDiscriminator, "features_name", name, raising=False)
        (note,) = shared_features(evaluator, config)
        assert f"trained on {name}'s features, which the evaluation of {read} reads too." in note
    monkeypatch.setattr(TinyFeatures, "name", "EfficientNet-Lite0")
    evaluator = Evaluator(10, 250, "train", 7, "unused", TinyFeatures, metrics, alignment)
    assert "of image quality and attributes reads too" in shared_features(evaluator, config)[0]
    monkeypatch.setattr(DCGANDiscriminator, "features_name", "EfficientNet-Lite2")
    assert shared_features(evaluator, config) == []


@pytest.mark.parametrize("target", ["t2f.networks.dcgan.DCGANDiscriminator", "t2f.networks.gone.Gone", "gone.Gone"])
def test_other_discriminators_have_no_note(target: str) -> None:
    evaluator = Evaluator(10, 250, "train", 7, "unused", TinyFeatures, {}, {"attributes": AttributeAlignment()})
    for config in (f"model: {{discriminator: {{_target_: {target}}}}}", "model: {discriminator: null}", "seed: 0"):
        assert shared_features(evaluator, config) == []


def test_git_commit_is_that_of_the_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    if inside.returncode:
        assert git_commit() is None
    else:
        commit = git_commit()
        assert commit is not None
        assert re.fullmatch(r"[0-9a-f]{12}\+?", commit)
        assert inside.stdout.startswith(commit.rstrip("+"))
    monkeypatch.setenv("PATH", "")
    assert git_commit() is None

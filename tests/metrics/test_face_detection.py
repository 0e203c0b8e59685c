import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.toy import TinyFeatures, ToyDataset, ToyGenerator, conditioner
from torch import Tensor

from t2f.cli.evaluate import compose_evaluation
from t2f.data.datasets.celeba import CelebA
from t2f.evaluation.evaluator import Evaluator
from t2f.metrics.base import NotMeasurable
from t2f.metrics.face_detection import FaceDetectionRate
from t2f.metrics.features import Features
from t2f.utils.errors import UserError
from t2f.utils.extras import MissingPackage
from t2f.utils.instantiate import build

pytest.importorskip("facenet_pytorch", reason="facenet-pytorch is missing: pip install -e '.[faces]'")
REAL = os.environ.get("T2F_TEST_DATA")


@pytest.fixture(scope="module")
def pretrained() -> FaceDetectionRate:
    state = torch.get_rng_state()
    metric = FaceDetectionRate()
    assert torch.equal(torch.get_rng_state(), state)
    return metric


@pytest.fixture
def metric(pretrained: FaceDetectionRate) -> FaceDetectionRate:
    pretrained.reset()
    return pretrained


def batch(images: Tensor) -> Features:
    return Features(images, torch.empty(len(images), 0), torch.empty(len(images), 0))


def drawn(kind: str, count: int = 8) -> Tensor:
    """Images without a face: uint8 (count, 3, 64, 64)."""
    rng = np.random.default_rng(0)
    if kind == "noise":
        return torch.from_numpy(rng.integers(0, 256, (count, 3, 64, 64), dtype=np.uint8))
    if kind == "colors":
        return torch.from_numpy(rng.integers(0, 256, (count, 3, 1, 1), dtype=np.uint8)).repeat(1, 1, 64, 64)
    blocks = torch.from_numpy(rng.integers(0, 256, (count, 3, 8, 8), dtype=np.uint8))
    return blocks.repeat_interleave(8, 2).repeat_interleave(8, 3)


@pytest.mark.parametrize("kind", ["noise", "colors", "blocks"])
def test_finds_no_face_in_drawn_images_without_one(metric: FaceDetectionRate, kind: str) -> None:
    metric.update(batch(drawn(kind)), real=False)
    assert metric.compute() == 0


@pytest.mark.gpu
def test_runs_on_the_device_of_the_metric() -> None:
    metric = FaceDetectionRate().to("cuda")
    metric.update(batch(drawn("blocks")), real=False)
    assert metric.compute() == 0
    assert metric.detector.device.type == next(metric.detector.parameters()).device.type == "cuda"


def test_is_the_fraction_of_generated_images(metric: FaceDetectionRate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector of bright images stands in for the network. Real images do not count."""
    monkeypatch.setattr(metric, "detect", lambda images: images.float().mean(dim=(1, 2, 3)) > 128)
    levels = torch.tensor([0, 255, 255, 10, 0], dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)
    metric.update(batch(levels[:3]), real=False)
    metric.update(batch(levels[3:]), real=False)
    metric.update(batch(levels[1:3]), real=True)
    rate = metric.compute()
    assert rate == 2 / 5 and rate.dtype == torch.float64
    other = FaceDetectionRate()
    other.update(batch(levels[:1]), real=False)
    other.merge_state(metric)
    assert other.compute() == pytest.approx(2 / 6)


def test_no_images_raise_an_error(metric: FaceDetectionRate) -> None:
    with pytest.raises(NotMeasurable, match=r"^At least 1 generated image is needed, but there are 0\.$"):
        metric.compute()


@pytest.mark.parametrize("threshold", [0, 1, float("nan")])
def test_threshold_out_of_range_raises_an_error(threshold: float) -> None:
    with pytest.raises(ValueError, match=rf"^threshold must be in \(0, 1\), but is {threshold}\.$"):
        FaceDetectionRate(threshold)


def test_missing_package_names_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(MissingPackage, match=r"pip install -e '\.\[faces\]'\.$"):
        FaceDetectionRate()


def test_report_has_the_rate_of_generated_and_of_held_out_images(
    metric: FaceDetectionRate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric, "detect", lambda images: images[:, 0].float().mean(dim=(1, 2)) > 140)  # the red ones
    evaluator = Evaluator(20, 100, "train", 0, str(tmp_path), TinyFeatures, {"face_detection_rate": metric}, {})
    (value,) = evaluator(ToyGenerator(), ToyDataset(), conditioner()).metrics
    red = ToyDataset().held_out.attributes[:20, 0].mean()
    assert (value.name, value.title, value.better) == ("face_detection_rate", "face detection rate", "higher")
    assert value.real == pytest.approx(red)
    assert 0 < value.generated < 1


def test_config_adds_the_rate_to_the_default_metrics() -> None:
    default, faces = (compose_evaluation([f"metrics={name}"]).evaluation.metrics for name in ("default", "faces"))
    assert set(faces) - set(default) == {"face_detection_rate"}
    assert isinstance(build(faces.face_detection_rate), FaceDetectionRate)
    with pytest.raises(UserError, match=r"^metrics\.face_detection_rate\.threshold must be in \(0, 1\), but is 2\.$"):
        build(compose_evaluation(["metrics=faces", "+metrics.face_detection_rate.threshold=2"]).metrics)


@pytest.mark.skipif(REAL is None, reason="T2F_TEST_DATA names no folder of real data")
@pytest.mark.parametrize("resolution", [32, 64])
def test_finds_the_faces_of_photographs_and_none_in_shuffled_ones(
    metric: FaceDetectionRate, tmp_path: Path, resolution: int
) -> None:
    source = CelebA(f"{REAL}/celeba", cache=str(tmp_path), resolution=resolution, crop=0.719, workers=1, limit=60)
    source.prepare()
    photographs = torch.from_numpy(np.array(source.train.images))
    metric.update(batch(photographs), real=False)
    assert metric.compute() >= 0.95
    metric.reset()
    metric.update(batch(shuffled(photographs, resolution // 4)), real=False)
    assert metric.compute() <= 0.1


def shuffled(images: Tensor, patch: int) -> Tensor:
    """Permute the patches of each image."""
    grid = images.unfold(2, patch, patch).unfold(3, patch, patch).flatten(2, 3)  # (B, 3, patches, patch, patch)
    order = torch.randperm(grid.shape[2], generator=torch.Generator().manual_seed(0))
    rows = grid[:, :, order].unflatten(2, (images.shape[2] // patch, -1))
    return rows.permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3)

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from conftest import ROOT
from fixtures.toy import TinyFeatures, ToyDataset, ToyGenerator, conditioner

from t2f.cli.evaluate import compose_evaluation
from t2f.evaluation.evaluator import Evaluator
from t2f.evaluation.generate import generate_images
from t2f.evaluation.metric_value import EvaluationResult
from t2f.evaluation.text_alignment import EvaluationBatch, TextAlignment
from t2f.metrics.distances import FrechetDistance, KernelDistance
from t2f.metrics.features import BATCH_SIZE, extract_features
from t2f.metrics.neighbors import Memorization, PrecisionRecall
from t2f.utils.errors import UserError
from t2f.utils.extras import MissingPackage
from t2f.utils.instantiate import build


def evaluator(cache: Path, **changes: object) -> Evaluator:
    settings: dict[str, object] = {
        "count": 150,
        "real_count": 1000,
        "reference": "train",
        "seed": 0,
        "cache": str(cache),
        "features": TinyFeatures,
        "metrics": {"frechet_distance": FrechetDistance(), "precision_recall": PrecisionRecall()},
        "text_alignment": {},
    }
    return Evaluator(**{**settings, **changes})  # type: ignore[arg-type]  # various types


def test_a_better_generator_has_better_metrics(tmp_path: Path) -> None:
    measure = evaluator(tmp_path)
    good, bad = (
        {metric.name: metric for metric in measure(ToyGenerator(noise_scale), ToyDataset(), conditioner()).metrics}
        for noise_scale in (0.136, 3)
    )
    assert set(good) == {"frechet_distance_tiny", "precision_tiny", "recall_tiny"}
    assert good["frechet_distance_tiny"].generated < 0.5 * bad["frechet_distance_tiny"].generated
    assert good["precision_tiny"].generated > bad["precision_tiny"].generated
    assert good["frechet_distance_tiny"].better == "lower"
    assert good["recall_tiny"].better == "higher"


def test_column_of_real_images_measures_held_out_ones(tmp_path: Path) -> None:
    (metric,) = evaluator(tmp_path, metrics={"frechet_distance": FrechetDistance()})(
        ToyGenerator(), ToyDataset(), conditioner()
    ).metrics
    expected = FrechetDistance()
    extractor = TinyFeatures()
    for real, images in ((False, ToyDataset().held_out.images), (True, ToyDataset().train.images)):
        expected.update(extract_features(extractor, torch.from_numpy(images)), real)
    assert metric.real == pytest.approx(float(expected.compute()), rel=1e-9)


def test_metrics_depend_on_the_seed_only(tmp_path: Path) -> None:
    one, same, other = (
        evaluator(tmp_path, seed=seed)(ToyGenerator(), ToyDataset(), conditioner()).flat() for seed in (0, 0, 1)
    )
    assert one == same
    assert one != other


def test_truncation_reduces_diversity(tmp_path: Path) -> None:
    deviations = []
    for truncation in (1.0, 0.5, 0.0):
        images = generate_images(ToyGenerator(), torch.ones(BATCH_SIZE, 2), 0, None, truncation).images.float()
        deviations.append(float(images.std(dim=0).mean()))
    assert deviations[0] > deviations[1] > deviations[2] == 0
    full, half = (
        evaluator(tmp_path, truncation=t)(ToyGenerator(), ToyDataset(), conditioner()).flat() for t in (1.0, 0.5)
    )
    assert full != half


def test_images_do_not_depend_on_their_number() -> None:
    """Full batches have the same rounding."""
    conditions = torch.ones(3 * BATCH_SIZE, 2)
    few, many = (
        generate_images(ToyGenerator(), conditions[:count], 0, TinyFeatures()) for count in (BATCH_SIZE, 3 * BATCH_SIZE)
    )
    assert torch.equal(few.features, many.features[:BATCH_SIZE])
    assert torch.equal(few.images, many.images[:BATCH_SIZE])


def test_two_processes_equal_one(tmp_path: Path) -> None:
    """150 images are three batches, so the processes have different numbers of batches."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    script = Path(__file__).parent / "two_processes.py"
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    subprocess.run([*command, str(script), str(tmp_path)], env=os.environ | paths, check=True, timeout=300)
    expected = evaluator(tmp_path / "cache")(ToyGenerator(), ToyDataset(), conditioner()).flat()
    results = [ast.literal_eval((tmp_path / f"{rank}.txt").read_text()) for rank in (0, 1)]
    assert results == [expected, {}]


def test_pixels_that_are_not_finite_raise_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="generates pixels that are not finite"):
        evaluator(tmp_path)(ToyGenerator(float("nan")), ToyDataset(), conditioner())


def test_real_images_are_chosen_by_the_seed_from_the_reference(tmp_path: Path) -> None:
    source = ToyDataset()
    subset = evaluator(tmp_path, real_count=20).real_images(source)
    assert len(subset) == 20
    assert np.array_equal(subset, evaluator(tmp_path, real_count=20).real_images(source))
    assert not np.array_equal(subset, evaluator(tmp_path, real_count=20, seed=1).real_images(source))
    assert not np.array_equal(subset, source.train.images[:20])
    held_out = evaluator(tmp_path, reference="held_out").real_images(source)
    assert np.array_equal(held_out, source.held_out.images)


def test_reference_held_out_has_no_column_of_real_images(tmp_path: Path) -> None:
    result = evaluator(tmp_path, reference="held_out")(ToyGenerator(), ToyDataset(), conditioner())
    assert [metric.real for metric in result.metrics] == [None, None, None]


def test_fewer_images_than_features_are_noted(tmp_path: Path) -> None:
    few, enough = (
        " ".join(evaluator(tmp_path, count=count)(ToyGenerator(), ToyDataset(), conditioner()).notes)
        for count in (12, 150)
    )
    assert "biased upwards" in few
    assert "biased upwards" not in enough


def test_too_few_held_out_images_leave_the_column_empty(tmp_path: Path) -> None:
    result = evaluator(tmp_path)(ToyGenerator(), ToyDataset(held_out=2), conditioner())
    assert all(metric.real is None for metric in result.metrics)
    assert "2 held-out images are too few" in " ".join(result.notes)


def test_missing_package_disables_image_quality_only(tmp_path: Path) -> None:
    def missing() -> TinyFeatures:
        raise MissingPackage("timm is missing: pip install it.")

    result = evaluator(tmp_path, features=missing)(ToyGenerator(), ToyDataset(), conditioner())
    assert result.metrics == []
    assert result.notes == ["Image quality is not measured. timm is missing: pip install it."]


def test_names_of_metrics_end_with_the_extractor(tmp_path: Path) -> None:
    metrics = {"kid": KernelDistance(subsets=1), "copies": Memorization()}
    names = {
        metric.name
        for metric in evaluator(tmp_path, metrics=metrics)(ToyGenerator(), ToyDataset(), conditioner()).metrics
    }
    assert names == {"kid_tiny", "copies_tiny"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "^count must be at least 1, but is 0"),
        ({"real_count": 1}, "^real_count must be at least 2, but is 1"),
        ({"reference": "test"}, "^reference must be train or held_out, but is test"),
        ({"truncation": -0.5}, "^truncation must be at least 0, but is -0.5"),
    ],
)
def test_arguments_out_of_range_raise_an_error(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluator(tmp_path, **changes)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("evaluation.count=0", "evaluation.count must be at least 1, but is 0."),
        ("features.resolution=31", "features.resolution must be at least 32 pixels, but is 31."),
        ("metrics.kernel_distance.subsets=0", "metrics.kernel_distance.subsets must be at least 1, but is 0."),
        (
            "evaluation=quick evaluation.text_alignment.attributes.most_faces=0",
            "evaluation.text_alignment.attributes.most_faces must be at least 1, but is 0.",
        ),
    ],
)
def test_errors_name_the_config_key(overrides: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        build(compose_evaluation(overrides.split()).evaluation)


class ConventionallyNamed(TinyFeatures):
    conventional_names: ClassVar[dict[str, str]] = {"frechet_distance": "FID"}


def test_conventional_names_are_used_in_titles_only(tmp_path: Path) -> None:
    """The watched metric has the same prefix for all extractors."""
    measure = evaluator(tmp_path, features=ConventionallyNamed)
    titles = {metric.name: metric.title for metric in measure(ToyGenerator(), ToyDataset(), conditioner()).metrics}
    assert titles["frechet_distance_tiny"] == "FID"
    assert titles["precision_tiny"] == "precision"


def test_metrics_with_the_same_name_raise_an_error(tmp_path: Path) -> None:
    metrics = {"narrow": PrecisionRecall(3), "wide": PrecisionRecall(5)}
    with pytest.raises(UserError, match=r"have the name .*precision_tiny"):
        evaluator(tmp_path, metrics=metrics)(ToyGenerator(), ToyDataset(), conditioner())


def test_result_has_the_nearest_real_images(tmp_path: Path) -> None:
    source = ToyDataset()
    measure = evaluator(tmp_path)
    nearest = measure(ToyGenerator(), source, conditioner()).nearest
    assert nearest is not None
    assert nearest.shape == (8, 5, 3, 8, 8)
    assert nearest.dtype == torch.uint8
    extractor = TinyFeatures()
    real = extractor(torch.from_numpy(source.train.images))[0]
    for row in nearest:
        distances = torch.cdist(extractor(row)[0][:1].double(), real.double())[0]
        assert torch.equal(row[1], torch.from_numpy(source.train.images[int(distances.argmin())]))


def test_undetected_copies_are_noted(tmp_path: Path) -> None:
    subset, full = (
        " ".join(evaluator(tmp_path, real_count=count)(ToyGenerator(), ToyDataset(), conditioner()).notes)
        for count in (200, 300)
    )
    assert "does not detect copies of other training images" in subset
    assert "does not detect copies" not in full


def test_classifiers_run_on_the_device_of_the_generator(tmp_path: Path) -> None:
    class Spy(TextAlignment):
        def __call__(self, batch: EvaluationBatch) -> EvaluationResult:
            self.device = batch.device
            return EvaluationResult()

    spy, generator = Spy(), ToyGenerator()
    generator.device = torch.device("cpu", 0)  # not equal to torch.device("cpu")
    evaluator(tmp_path, metrics={}, text_alignment={"spy": spy})(generator, ToyDataset(), conditioner())
    assert spy.device == torch.device("cpu", 0)

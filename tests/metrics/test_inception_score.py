import pytest
import torch
from fixtures.features import make_features, normal_features
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric

from t2f.metrics.base import NotMeasurable
from t2f.metrics.inception_score import ClassScore


def score(logits: Tensor, **settings: int) -> float:
    metric = ClassScore(**settings)
    metric.update(make_features(logits), real=False)
    return float(metric.compute())


def by_torch_fidelity(logits: Tensor, splits: int) -> float:
    return isc_features_to_metric(logits, splits=splits, shuffle=False)["inception_score_mean"]


def test_equals_torch_fidelity() -> None:
    logits = 3 * normal_features(0, 120, 20)
    assert score(logits, splits=1) == pytest.approx(by_torch_fidelity(logits, 1), rel=1e-9)


def test_mean_over_splits_equals_torch_fidelity_in_the_same_order() -> None:
    logits = 3 * normal_features(0, 120, 20)
    shuffled = logits[torch.randperm(120, generator=torch.Generator().manual_seed(5))]
    assert score(logits, splits=10, seed=5) == pytest.approx(by_torch_fidelity(shuffled, 10), rel=1e-9)


@pytest.mark.parametrize("splits", [1, 10])
def test_uniform_predictions_score_one(splits: int) -> None:
    assert score(torch.zeros(50, 7), splits=splits) == pytest.approx(1)


@pytest.mark.parametrize("confidence", [50.0, 5000.0])
def test_confident_predictions_score_the_number_of_classes(confidence: float) -> None:
    assert score(confidence * torch.eye(6).repeat(4, 1), splits=1) == pytest.approx(6)


def test_classes_without_images_do_not_count() -> None:
    assert score(5000 * torch.eye(6)[:2].repeat(4, 1), splits=1) == pytest.approx(2)


def test_copies_of_one_image_score_one() -> None:
    assert score(normal_features(0, 1, 9).expand(30, -1)) == pytest.approx(1)


def test_two_uncertain_classes_have_a_closed_form() -> None:
    """Predictions (p, 1 - p) and (1 - p, p) for one half of the images each: 2 p^p (1 - p)^(1 - p)."""
    p = 0.9
    logits = torch.tensor([[p, 1 - p], [1 - p, p]]).log().repeat(10, 1)
    assert score(logits, splits=1) == pytest.approx(2 * p**p * (1 - p) ** (1 - p), rel=1e-6)


def test_fewer_images_than_splits_are_split_into_single_images() -> None:
    assert score(normal_features(0, 1, 5)) == pytest.approx(1)
    assert score(normal_features(0, 4, 5)) == pytest.approx(1)


def test_number_of_splits_does_not_depend_on_divisibility() -> None:
    """15 images in 10 splits: 5 splits of one image, 5 splits of two images with two classes."""
    value = score(5000 * torch.eye(15), splits=10)
    assert value == pytest.approx((5 * 1 + 5 * 2) / 10)


def test_real_images_are_ignored() -> None:
    metric = ClassScore(splits=1)
    metric.update(make_features(3 * normal_features(0, 40, 5)), real=False)
    metric.update(make_features(9 * normal_features(1, 40, 5)), real=True)
    assert float(metric.compute()) == score(3 * normal_features(0, 40, 5), splits=1)


def test_is_deterministic_and_keeps_the_global_random_state() -> None:
    logits = 3 * normal_features(0, 60, 5)
    state = torch.get_rng_state()
    assert score(logits) == score(logits) != score(logits, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_no_image_raises_an_error() -> None:
    with pytest.raises(NotMeasurable, match=r"^At least 1 generated image is needed, but there are 0\.$"):
        ClassScore().compute()


def test_no_splits_raise_an_error() -> None:
    with pytest.raises(ValueError, match=r"^splits must be at least 1, but is 0\.$"):
        ClassScore(splits=0)

from collections.abc import Callable

import pytest
import torch
from fixtures.features import make_features, normal_features
from torch import Tensor
from torchmetrics import Metric

from t2f.metrics.base import FeatureMetric, NotMeasurable
from t2f.metrics.distances import FrechetDistance, KernelDistance
from t2f.metrics.inception_score import ClassScore
from t2f.metrics.neighbors import Diversity, Memorization, PrecisionRecall
from t2f.utils.errors import UserError

FEATURE_METRICS = [FrechetDistance, KernelDistance, PrecisionRecall, Diversity, Memorization]
METRICS = [*FEATURE_METRICS, ClassScore]
FAKE, REAL = normal_features(0, 90, 6, mean=0.2), normal_features(1, 80, 6)
each_metric = pytest.mark.parametrize("kind", METRICS)
each_feature_metric = pytest.mark.parametrize("kind", FEATURE_METRICS)


def values(metric: Metric) -> list[float]:
    value = metric.compute()
    return [float(each) for each in (value.values() if isinstance(value, dict) else [value])]


def updated(metric: Metric, fake: Tensor, real: Tensor) -> Metric:
    metric.update(make_features(fake), real=False)
    metric.update(make_features(real), real=True)
    return metric


@each_metric
def test_several_updates_equal_one(kind: Callable[..., Metric]) -> None:
    parts = updated(updated(kind(), FAKE[:10], REAL[:50]), FAKE[10:], REAL[50:])
    assert values(parts) == values(updated(kind(), FAKE, REAL))


@each_metric
def test_merged_metrics_equal_one(kind: Callable[..., Metric]) -> None:
    one, other = updated(kind(), FAKE[:10], REAL[:50]), updated(kind(), FAKE[10:], REAL[50:])
    one.merge_state(other)
    whole = updated(
        updated(kind(), FAKE[10:], REAL[50:]), FAKE[:10], REAL[:50]
    )  # torchmetrics prepends the other's state
    assert values(one) == values(whole)


@each_metric
def test_reset_clears_the_state(kind: Callable[..., Metric]) -> None:
    metric = updated(kind(), 3 * REAL, FAKE)
    before = values(metric)
    metric.reset()
    assert values(updated(metric, FAKE, REAL)) == values(updated(kind(), FAKE, REAL)) != before


@each_metric
def test_synchronized_state_equals_one_process(kind: Callable[..., Metric]) -> None:
    """torchmetrics concatenates the states of all processes; the second process is simulated."""
    other = updated(kind(), FAKE[45:], REAL[40:])
    other_states = iter([getattr(other, name)[0] for name in ("fake", "real", "logits") if hasattr(other, name)])
    shared = kind(
        dist_sync_fn=lambda state, group=None: [state, next(other_states)],
        distributed_available_fn=lambda: True,
    )
    updated(shared, FAKE[:45], REAL[:40])
    assert values(shared) == pytest.approx(values(updated(kind(), FAKE, REAL)), rel=1e-12)


@each_feature_metric
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_raise_an_error(kind: Callable[..., Metric], bad: float) -> None:
    features = FAKE.clone()
    features[3, 2] = bad
    for real in (True, False):
        with pytest.raises(UserError, match=r"^The features of some images are not finite: .*do not fit\.$"):
            kind().update(make_features(features, FAKE), real=real)


def test_logits_that_are_not_finite_raise_an_error() -> None:
    with pytest.raises(UserError, match="not finite"):
        ClassScore().update(make_features(FAKE, FAKE / 0), real=False)


@each_feature_metric
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_raise_an_error(kind: Callable[..., FeatureMetric], count: int) -> None:
    message = rf"^At least {kind().min_count} %s images are needed, but there are {count}\.$"
    with pytest.raises(NotMeasurable, match=message % "generated"):
        values(updated(kind(), FAKE[:count], REAL))
    with pytest.raises(NotMeasurable, match=message % "real"):
        values(updated(kind(), FAKE, REAL[:count]))


@each_feature_metric
def test_compute_without_update_raises_an_error(kind: Callable[..., FeatureMetric]) -> None:
    with pytest.raises(NotMeasurable, match=r"^At least . generated images are needed, but there are 0\.$"):
        kind().compute()


@each_metric
def test_equal_generated_images_have_finite_values(kind: Callable[..., Metric]) -> None:
    computed = values(updated(kind(), REAL[:1].expand(40, -1), REAL))
    assert all(torch.tensor(computed).isfinite())


@each_metric
def test_value_is_float64_and_direction_is_defined(kind: Callable[..., Metric]) -> None:
    metric = kind()
    assert isinstance(metric, Metric)
    value = updated(metric, FAKE, REAL).compute()
    assert all(each.dtype == torch.float64 for each in (value.values() if isinstance(value, dict) else [value]))
    expected = {FrechetDistance: False, KernelDistance: False, PrecisionRecall: True, ClassScore: True}
    assert metric.higher_is_better is expected.get(kind)

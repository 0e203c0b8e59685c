from collections.abc import Callable

import pytest
import torch
from fixtures.readings import normal, reading
from torch import Tensor
from torchmetrics import Metric

from t2f.metrics.base import FeatureMetric
from t2f.metrics.distances import FrechetDistance, KernelDistance
from t2f.metrics.inception_score import ClassScore
from t2f.metrics.neighbors import Diversity, Memorization, PrecisionRecall
from t2f.utils.errors import UserError

COMPARISONS = [FrechetDistance, KernelDistance, PrecisionRecall, Diversity, Memorization]
ALL = [*COMPARISONS, ClassScore]
DRAWN, REAL = normal(0, 90, 6, mean=0.2), normal(1, 80, 6)
of_each = pytest.mark.parametrize("kind", ALL)
of_each_comparison = pytest.mark.parametrize("kind", COMPARISONS)


def figures(metric: Metric) -> list[float]:
    value = metric.compute()
    return [float(each) for each in (value.values() if isinstance(value, dict) else [value])]


def given(metric: Metric, drawn: Tensor, real: Tensor) -> Metric:
    metric.update(reading(drawn), real=False)
    metric.update(reading(real), real=True)
    return metric


@of_each
def test_parts_count_as_one_in_whatever_order_the_kinds_come(kind: Callable[..., Metric]) -> None:
    parts = given(given(kind(), DRAWN[:10], REAL[:50]), DRAWN[10:], REAL[50:])
    assert figures(parts) == figures(given(kind(), DRAWN, REAL))


@of_each
def test_two_metrics_merged_count_as_one(kind: Callable[..., Metric]) -> None:
    one, other = given(kind(), DRAWN[:10], REAL[:50]), given(kind(), DRAWN[10:], REAL[50:])
    one.merge_state(other)
    whole = given(given(kind(), DRAWN[10:], REAL[50:]), DRAWN[:10], REAL[:50])  # torchmetrics puts the other first
    assert figures(one) == figures(whole)


@of_each
def test_reset_forgets(kind: Callable[..., Metric]) -> None:
    metric = given(kind(), 3 * REAL, DRAWN)
    before = figures(metric)
    metric.reset()
    assert figures(given(metric, DRAWN, REAL)) == figures(given(kind(), DRAWN, REAL)) != before


@of_each
def test_a_state_that_processes_shared_counts_the_same(kind: Callable[..., Metric]) -> None:
    """torchmetrics makes one tensor of what all processes have; here the other one is made up."""
    other = given(kind(), DRAWN[45:], REAL[40:])
    theirs = iter([getattr(other, name)[0] for name in ("drawn", "real", "logits") if hasattr(other, name)])
    shared = kind(
        dist_sync_fn=lambda mine, group=None: [mine, next(theirs)],
        distributed_available_fn=lambda: True,
    )
    given(shared, DRAWN[:45], REAL[:40])
    assert figures(shared) == pytest.approx(figures(given(kind(), DRAWN, REAL)), rel=1e-12)


@of_each_comparison
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_told(kind: Callable[..., Metric], bad: float) -> None:
    features = DRAWN.clone()
    features[3, 2] = bad
    for real in (True, False):
        with pytest.raises(UserError, match=r"^The features of some faces are not finite: .*do not fit\.$"):
            kind().update(reading(features, DRAWN), real=real)


def test_logits_that_are_not_finite_are_told() -> None:
    with pytest.raises(UserError, match="not finite"):
        ClassScore().update(reading(DRAWN, DRAWN / 0), real=False)


@of_each_comparison
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_faces_are_told(kind: Callable[..., FeatureMetric], count: int) -> None:
    least = kind().least
    message = rf"^{least} %s faces or more are needed, but there are {count}\.$"
    with pytest.raises(UserError, match=message % "drawn"):
        figures(given(kind(), DRAWN[:count], REAL))
    with pytest.raises(UserError, match=message % "real"):
        figures(given(kind(), DRAWN, REAL[:count]))


@of_each_comparison
def test_nothing_given_is_told(kind: Callable[..., FeatureMetric]) -> None:
    with pytest.raises(UserError, match=r"^. drawn faces or more are needed, but there are 0\.$"):
        kind().compute()


@of_each
def test_drawn_faces_that_are_all_the_same_have_finite_figures(kind: Callable[..., Metric]) -> None:
    found = figures(given(kind(), REAL[:1].expand(40, -1), REAL))
    assert all(torch.tensor(found).isfinite())


@of_each
def test_is_a_metric_of_float64_that_says_which_way_is_better(kind: Callable[..., Metric]) -> None:
    metric = kind()
    assert isinstance(metric, Metric)
    value = given(metric, DRAWN, REAL).compute()
    assert all(each.dtype == torch.float64 for each in (value.values() if isinstance(value, dict) else [value]))
    expected = {FrechetDistance: False, KernelDistance: False, PrecisionRecall: True, ClassScore: True}
    assert metric.higher_is_better is expected.get(kind)

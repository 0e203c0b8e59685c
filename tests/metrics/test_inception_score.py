import pytest
import torch
from fixtures.readings import normal, reading
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric

from t2f.metrics.inception_score import ClassScore
from t2f.utils.errors import UserError


def score(logits: Tensor, **settings: int) -> float:
    metric = ClassScore(**settings)
    metric.update(reading(logits), real=False)
    return float(metric.compute())


def by_torch_fidelity(logits: Tensor, splits: int) -> float:
    return isc_features_to_metric(logits, splits=splits, shuffle=False)["inception_score_mean"]


def test_is_that_of_torch_fidelity() -> None:
    logits = 3 * normal(0, 120, 20)
    assert score(logits, splits=1) == pytest.approx(by_torch_fidelity(logits, 1), rel=1e-9)


def test_the_mean_over_parts_is_that_of_torch_fidelity_in_the_same_order() -> None:
    logits = 3 * normal(0, 120, 20)
    shuffled = logits[torch.randperm(120, generator=torch.Generator().manual_seed(5))]
    assert score(logits, splits=10, seed=5) == pytest.approx(by_torch_fidelity(shuffled, 10), rel=1e-9)


@pytest.mark.parametrize("splits", [1, 10])
def test_sure_of_nothing_is_one(splits: int) -> None:
    assert score(torch.zeros(50, 7), splits=splits) == pytest.approx(1)


@pytest.mark.parametrize("sure", [50.0, 5000.0])
def test_sure_of_as_many_classes_as_there_are_is_their_number(sure: float) -> None:
    assert score(sure * torch.eye(6).repeat(4, 1), splits=1) == pytest.approx(6)


def test_classes_that_no_face_has_do_not_count() -> None:
    assert score(5000 * torch.eye(6)[:2].repeat(4, 1), splits=1) == pytest.approx(2)


def test_one_face_again_and_again_is_one() -> None:
    assert score(normal(0, 1, 9).expand(30, -1)) == pytest.approx(1)


def test_half_sure_has_a_closed_form() -> None:
    """Two classes, p and 1 - p, for half of the faces the other way round: 2 p^p (1 - p)^(1 - p)."""
    p = 0.9
    logits = torch.tensor([[p, 1 - p], [1 - p, p]]).log().repeat(10, 1)
    assert score(logits, splits=1) == pytest.approx(2 * p**p * (1 - p) ** (1 - p), rel=1e-6)


def test_fewer_faces_than_parts_are_taken_alone() -> None:
    assert score(normal(0, 1, 5)) == pytest.approx(1)
    assert score(normal(0, 4, 5)) == pytest.approx(1)


def test_there_are_as_many_parts_as_asked_for_whatever_the_number_of_faces() -> None:
    """Of 15 faces, 5 are alone and the others pairs, of which one is of two classes at most."""
    found = score(5000 * torch.eye(15), splits=10)
    assert found == pytest.approx((5 * 1 + 5 * 2) / 10)


def test_real_faces_do_not_count() -> None:
    metric = ClassScore(splits=1)
    metric.update(reading(3 * normal(0, 40, 5)), real=False)
    metric.update(reading(9 * normal(1, 40, 5)), real=True)
    assert float(metric.compute()) == score(3 * normal(0, 40, 5), splits=1)


def test_is_repeated_to_the_last_bit_and_leaves_the_global_random_state_alone() -> None:
    logits = 3 * normal(0, 60, 5)
    state = torch.get_rng_state()
    assert score(logits) == score(logits) != score(logits, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_no_face_is_told() -> None:
    with pytest.raises(UserError, match=r"^ClassScore needs at least one drawn face, but was given none\.$"):
        ClassScore().compute()


def test_no_parts_are_told() -> None:
    with pytest.raises(UserError, match=r"^ClassScore's splits is 0: it must be at least 1\.$"):
        ClassScore(splits=0)

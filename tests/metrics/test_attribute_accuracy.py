import numpy as np
import pytest
import torch
from torch import Tensor

from t2f.metrics.attribute_accuracy import AttributeAccuracy


def random_predictions(seed: int, count: int = 60, attributes: int = 5) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    predicted = torch.from_numpy(rng.random((count, attributes)) < 0.4)
    return predicted, torch.from_numpy(rng.integers(-1, 2, (count, attributes)).astype(np.int8))


def score(*batches: tuple[Tensor, Tensor]) -> Tensor:
    metric = AttributeAccuracy(batches[0][0].shape[1])
    for predicted, expected in batches:
        metric.update(predicted, expected)
    return metric.compute()


def balanced_accuracy(predicted: Tensor, expected: Tensor) -> list[float]:
    """Mean of the recalls of both classes for each attribute."""
    pairs = zip(predicted.numpy().T, expected.numpy().T, strict=True)
    return [float(np.mean([np.mean(r[a == 1]), np.mean(~r[a == 0])])) for r, a in pairs]


@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_mean_of_both_recalls(seed: int) -> None:
    predicted, expected = random_predictions(seed)
    np.testing.assert_allclose(score((predicted, expected)).numpy(), balanced_accuracy(predicted, expected), rtol=1e-6)


def test_by_hand() -> None:
    expected = torch.tensor([[1, 0], [1, 0], [1, 0], [1, 1], [0, -1]], dtype=torch.int8)
    predicted = torch.tensor([[True, True], [True, False], [True, False], [False, True], [True, True]])
    assert score((predicted, expected)).tolist() == pytest.approx([(3 / 4 + 0) / 2, (1 + 2 / 3) / 2])


@pytest.mark.parametrize("constant", [True, False])
def test_constant_prediction_of_a_rare_attribute_scores_chance(constant: bool) -> None:
    expected = torch.tensor([[1, 0]] + [[0, 1]] * 19, dtype=torch.int8)
    assert score((torch.full((20, 2), constant), expected)).tolist() == [0.5, 0.5]


def test_correct_scores_one_and_wrong_scores_zero() -> None:
    expected = torch.tensor([[1, 1], [0, 0]], dtype=torch.int8)
    predicted = expected.bool()
    predicted[:, 1] = ~predicted[:, 1]
    assert score((predicted, expected)).tolist() == [1, 0]


def test_unspecified_attributes_are_ignored() -> None:
    predicted, expected = random_predictions(2)
    flipped = torch.where(expected == -1, ~predicted, predicted)
    assert torch.equal(score((flipped, expected)), score((predicted, expected)))


@pytest.mark.parametrize("only", [0, 1, -1])
def test_attribute_with_one_class_is_nan_and_does_not_affect_others(only: int) -> None:
    expected = torch.tensor([[only, 1], [only, 0]], dtype=torch.int8)
    one_class, both = score((torch.tensor([[True, True], [False, False]]), expected)).tolist()
    assert np.isnan(one_class)
    assert both == 1


def test_two_batches_equal_one() -> None:
    parts = [random_predictions(seed, count) for seed, count in ((3, 10), (4, 50))]
    whole = tuple(torch.cat(part) for part in zip(*parts, strict=True))
    torch.testing.assert_close(score(*parts), score((whole[0], whole[1])))


def test_merged_metrics_equal_one() -> None:
    parts = [random_predictions(seed, count) for seed, count in ((3, 10), (4, 50))]
    one, other = AttributeAccuracy(5), AttributeAccuracy(5)
    one.update(*parts[0])
    other.update(*parts[1])
    one.merge_state(other)
    torch.testing.assert_close(one.compute(), score(*parts))


def test_reset_clears_the_state() -> None:
    metric = AttributeAccuracy(5)
    metric.update(*random_predictions(5))
    metric.reset()
    metric.update(*random_predictions(6))
    assert torch.equal(metric.compute(), score(random_predictions(6)))

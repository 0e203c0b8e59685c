import numpy as np
import pytest
import torch
from torch import Tensor

from t2f.metrics.attribute_accuracy import AttributeAccuracy


def judged(seed: int, faces: int = 60, attributes: int = 5) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    read = torch.from_numpy(rng.random((faces, attributes)) < 0.4)
    return read, torch.from_numpy(rng.integers(-1, 2, (faces, attributes)).astype(np.int8))


def score(*batches: tuple[Tensor, Tensor]) -> Tensor:
    metric = AttributeAccuracy(batches[0][0].shape[1])
    for read, expected in batches:
        metric.update(read, expected)
    return metric.compute()


def balanced_accuracy(read: Tensor, expected: Tensor) -> list[float]:
    """Mean of the recalls of both classes, by attribute."""
    pairs = zip(read.numpy().T, expected.numpy().T, strict=True)
    return [float(np.mean([np.mean(r[a == 1]), np.mean(~r[a == 0])])) for r, a in pairs]


@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_mean_of_both_recalls(seed: int) -> None:
    read, expected = judged(seed)
    np.testing.assert_allclose(score((read, expected)).numpy(), balanced_accuracy(read, expected), rtol=1e-6)


def test_by_hand() -> None:
    expected = torch.tensor([[1, 0], [1, 0], [1, 0], [1, 1], [0, -1]], dtype=torch.int8)
    read = torch.tensor([[True, True], [True, False], [True, False], [False, True], [True, True]])
    assert score((read, expected)).tolist() == pytest.approx([(3 / 4 + 0) / 2, (1 + 2 / 3) / 2])


@pytest.mark.parametrize("always", [True, False])
def test_always_the_same_answer_is_chance_however_rare_the_attribute(always: bool) -> None:
    expected = torch.tensor([[1, 0]] + [[0, 1]] * 19, dtype=torch.int8)
    assert score((torch.full((20, 2), always), expected)).tolist() == [0.5, 0.5]


def test_right_is_one_and_wrong_is_nothing() -> None:
    expected = torch.tensor([[1, 1], [0, 0]], dtype=torch.int8)
    right = expected.bool()
    right[:, 1] = ~right[:, 1]
    assert score((right, expected)).tolist() == [1, 0]


def test_what_was_not_asked_does_not_count() -> None:
    read, expected = judged(2)
    flipped = torch.where(expected == -1, ~read, read)
    assert torch.equal(score((flipped, expected)), score((read, expected)))


@pytest.mark.parametrize("only", [0, 1, -1])
def test_not_asked_both_ways_is_nan_and_leaves_the_others_alone(only: int) -> None:
    expected = torch.tensor([[only, 1], [only, 0]], dtype=torch.int8)
    one_sided, both = score((torch.tensor([[True, True], [False, False]]), expected)).tolist()
    assert np.isnan(one_sided)
    assert both == 1


def test_two_batches_count_as_one() -> None:
    parts = [judged(seed, faces) for seed, faces in ((3, 10), (4, 50))]
    whole = tuple(torch.cat(part) for part in zip(*parts, strict=True))
    torch.testing.assert_close(score(*parts), score((whole[0], whole[1])))


def test_two_metrics_merged_count_as_one() -> None:
    parts = [judged(seed, faces) for seed, faces in ((3, 10), (4, 50))]
    one, other = AttributeAccuracy(5), AttributeAccuracy(5)
    one.update(*parts[0])
    other.update(*parts[1])
    one.merge_state(other)
    torch.testing.assert_close(one.compute(), score(*parts))


def test_reset_forgets() -> None:
    metric = AttributeAccuracy(5)
    metric.update(*judged(5))
    metric.reset()
    metric.update(*judged(6))
    assert torch.equal(metric.compute(), score(judged(6)))

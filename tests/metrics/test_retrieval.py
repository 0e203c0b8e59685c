import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.metrics.retrieval import RPrecision


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def score(images: Tensor, texts: Tensor, mismatched: Tensor) -> float:
    metric = RPrecision()
    metric.update(images, texts, mismatched)
    return float(metric.compute())


def test_nearest_own_text_scores_one() -> None:
    images = unit(50, 16)
    assert score(images, images, unit(50, 9, 16, seed=1)) == 1


def test_farthest_own_text_scores_zero() -> None:
    images = unit(50, 16)
    assert score(images, -images, unit(50, 9, 16, seed=1)) == 0


@pytest.mark.parametrize("count", [1, 9, 99])
def test_random_embeddings_score_chance(count: int) -> None:
    chance = 1 / (count + 1)
    value = score(unit(2000, 8), unit(2000, 8, seed=1), unit(2000, count, 8, seed=2))
    assert value == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 2000) ** 0.5)


def test_is_the_fraction_of_images_whose_own_text_is_nearest() -> None:
    images, texts, mismatched = unit(200, 4), unit(200, 4, seed=1), unit(200, 3, 4, seed=2)
    texts = F.normalize(images + texts, dim=1)
    nearest = torch.stack([(images[i] @ torch.cat([texts[i : i + 1], mismatched[i]]).T).argmax() for i in range(200)])
    assert score(images, texts, mismatched) == pytest.approx(float((nearest == 0).double().mean()))


@pytest.mark.parametrize("ties", [0, 1, 3, 9])
def test_ties_count_their_chance(ties: int) -> None:
    images = unit(20, 8)
    mismatched = (-images)[:, None].repeat(1, 9, 1)
    mismatched[:, :ties] = images[:, None]
    # Similarities of equal embeddings may differ by rounding.
    assert score(images, images * (1 + 1e-7), mismatched) == pytest.approx(1 / (1 + ties))


def test_a_tie_behind_a_nearer_text_scores_zero() -> None:
    images = torch.tensor([[1.0, 0.0]])
    text = torch.tensor([[0.6, 0.8]])
    assert score(images, text, torch.stack([text, images], dim=1)) == 0


def test_nan_scores_zero() -> None:
    images = unit(3, 4)
    assert score(images * float("nan"), images, unit(3, 2, 4)) == 0
    assert score(images, images * float("nan"), unit(3, 2, 4)) == 0


def test_updates_merge_and_reset() -> None:
    images, texts, mismatched = unit(30, 4), unit(30, 4, seed=1), unit(30, 2, 4, seed=2)
    whole = score(images, texts, mismatched)
    one, other = RPrecision(), RPrecision()
    one.update(images[:7], texts[:7], mismatched[:7])
    other.update(images[7:], texts[7:], mismatched[7:])
    assert 0 < whole < 1
    other.merge_state(one)
    assert float(other.compute()) == whole
    one.update(images[7:], texts[7:], mismatched[7:])
    assert float(one.compute()) == whole
    one.reset()
    one.update(images, images, mismatched)
    assert float(one.compute()) == 1

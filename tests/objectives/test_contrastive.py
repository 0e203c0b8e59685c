import math

import pytest
import torch

from t2f.objectives import GANStep
from t2f.objectives.contrastive import contrastive_loss, same_text

ALL_DIFFERENT = torch.eye(3, dtype=torch.bool)
ALL = torch.ones(3, dtype=torch.bool)


def test_it_is_the_papers_formula_in_both_directions() -> None:
    s = [[1.0, 0.2, -0.5], [0.3, 0.8, 0.0], [-1.0, 0.4, 2.0]]
    of_images = [-math.log(math.exp(s[i][i]) / sum(math.exp(s[i][j]) for j in range(3))) for i in range(3)]
    of_texts = [-math.log(math.exp(s[i][i]) / sum(math.exp(s[j][i]) for j in range(3))) for i in range(3)]
    expected = 0.5 * (sum(of_images) / 3 + sum(of_texts) / 3)
    assert float(contrastive_loss(torch.tensor(s), ALL_DIFFERENT, ALL)) == pytest.approx(expected, rel=1e-6)


def test_equal_similarities_cost_the_logarithm_of_the_batch_size() -> None:
    different, valid = torch.eye(7, dtype=torch.bool), torch.ones(7, dtype=torch.bool)
    assert float(contrastive_loss(torch.zeros(7, 7), different, valid)) == pytest.approx(math.log(7))


def test_images_with_the_same_text_are_not_negatives() -> None:
    """Two of three images have the same text, so each of them has only the third as a negative."""
    conditions = torch.tensor([[1, 2], [1, 2], [3, 4]])
    nothing = torch.empty(3, 0)
    same = same_text(GANStep(None, nothing, nothing, conditions, nothing, None, ALL, nothing))
    assert same.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    expected = (math.log(2) + math.log(2) + math.log(3)) / 3
    assert float(contrastive_loss(torch.zeros(3, 3), same, ALL)) == pytest.approx(expected)
    all_equal = torch.ones(3, 3, dtype=torch.bool)
    assert float(contrastive_loss(torch.randn(3, 3), all_equal, ALL)) == 0.0


def test_invalid_pairs_are_excluded() -> None:
    similarity, valid = torch.randn(5, 5, requires_grad=True), torch.tensor([True, False, True, True, False])
    different = torch.eye(5, dtype=torch.bool)
    few = similarity[valid][:, valid]
    expected = contrastive_loss(few, different[:3, :3], torch.ones(3, dtype=torch.bool))
    found = contrastive_loss(similarity, different, valid)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*(torch.autograd.grad(loss, similarity)[0] for loss in (found, expected)))

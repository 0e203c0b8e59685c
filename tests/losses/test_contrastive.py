import math

import pytest
import torch

from t2f.losses.contrastive import contrastive_loss, same_rows

ALL_DIFFERENT = torch.eye(3, dtype=torch.bool)


def test_it_is_the_papers_formula_in_both_directions() -> None:
    s = [[1.0, 0.2, -0.5], [0.3, 0.8, 0.0], [-1.0, 0.4, 2.0]]
    pictures = [-math.log(math.exp(s[i][i]) / sum(math.exp(s[i][j]) for j in range(3))) for i in range(3)]
    words = [-math.log(math.exp(s[i][i]) / sum(math.exp(s[j][i]) for j in range(3))) for i in range(3)]
    expected = 0.5 * (sum(pictures) / 3 + sum(words) / 3)
    assert float(contrastive_loss(torch.tensor(s), ALL_DIFFERENT)) == pytest.approx(expected, rel=1e-6)


def test_who_cannot_tell_pays_the_logarithm_of_the_batch() -> None:
    assert float(contrastive_loss(torch.zeros(7, 7), torch.eye(7, dtype=torch.bool))) == pytest.approx(math.log(7))


def test_faces_with_the_same_words_are_not_wrong_for_each_other() -> None:
    """Two of three faces have the same words: each of them has only the third to be told from."""
    conditions = torch.tensor([[1, 2], [1, 2], [3, 4]])
    same = same_rows(conditions)
    assert same.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    expected = (math.log(2) + math.log(2) + math.log(3)) / 3
    assert float(contrastive_loss(torch.zeros(3, 3), same)) == pytest.approx(expected)
    everybody = torch.ones(3, 3, dtype=torch.bool)
    assert float(contrastive_loss(torch.randn(3, 3), everybody)) == 0.0

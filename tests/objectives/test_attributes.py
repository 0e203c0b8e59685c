import math

import pytest
import torch

from t2f.objectives.attributes import classification_loss


def test_it_is_the_logarithm_of_what_is_known_for_each_picture() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.3, 4.0, -2.0]])
    attributes = torch.tensor([[1, 0, -1], [0, -1, -1]], dtype=torch.int8)
    likely = [[1 / (1 + math.exp(-2.0)), 1 / (1 + math.exp(-1.0))], [1 / (1 + math.exp(0.3))]]
    expected = -sum(math.log(each) for picture in likely for each in picture) / 2
    assert float(classification_loss(logits, attributes).mean()) == pytest.approx(expected, rel=1e-6)


def test_what_is_unknown_teaches_nothing() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    classification_loss(logits, torch.full((4, 3), -1, dtype=torch.int8)).sum().backward()
    assert logits.grad is not None
    assert not logits.grad.any()

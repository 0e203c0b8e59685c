import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from t2f.objectives.kl import kl_to_standard_normal


@pytest.mark.parametrize("batch", [1, 7])
def test_kl_is_that_of_torch_distributions(batch: int) -> None:
    generator = torch.Generator().manual_seed(batch)
    mean, log_variance = (torch.randn(batch, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    reference = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(5), torch.ones(5)))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), reference.sum(dim=1).mean())


def test_kl_by_hand() -> None:
    mean, log_variance = torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0], [math.log(4)]])
    expected = (2.0 + 0.5 * (4 - math.log(4) - 1)) / 2
    assert kl_to_standard_normal(mean, log_variance).item() == pytest.approx(expected)


def test_kl_is_least_and_zero_at_the_standard_normal() -> None:
    mean, log_variance = (torch.zeros(3, 4, requires_grad=True) for _ in range(2))
    kl = kl_to_standard_normal(mean, log_variance)
    kl.backward()
    assert kl.item() == 0
    assert mean.grad is not None
    assert log_variance.grad is not None
    assert mean.grad.abs().max() == log_variance.grad.abs().max() == 0

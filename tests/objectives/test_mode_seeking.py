import pytest
import torch

from t2f.objectives.mode_seeking import inverse_ratio


def test_the_ratio_of_hand_made_samples() -> None:
    samples = torch.tensor([[0.0, 0.0], [1.0, 3.0]])  # mean absolute difference 2, in both directions
    noise = torch.tensor([[0.0], [4.0]])
    torch.testing.assert_close(inverse_ratio(samples, noise), torch.tensor(2.0), rtol=1e-4, atol=0)


def test_equal_samples_have_a_finite_loss_whose_gradient_separates_others() -> None:
    noise = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert inverse_ratio(torch.zeros(4, 5), noise).isfinite()
    samples = torch.randn(4, 5, generator=torch.Generator().manual_seed(1)).requires_grad_(True)
    loss = inverse_ratio(samples, noise)
    (gradient,) = torch.autograd.grad(loss, samples)
    assert inverse_ratio(samples - 0.1 * gradient, noise) < loss


def test_one_sample_has_no_pair() -> None:
    with pytest.raises(ValueError, match="samples has 1 row"):
        inverse_ratio(torch.zeros(1, 5), torch.zeros(1, 3))

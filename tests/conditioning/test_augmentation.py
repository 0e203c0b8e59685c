import math

import torch
import torch.nn.functional as F

from t2f.conditioning.augmentation import ConditioningAugmentation


def constant_augmentation(mean: list[float], log_variance: list[float]) -> ConditioningAugmentation:
    """Create a layer that outputs the same distribution for every embedding."""
    conditioning = ConditioningAugmentation(3, len(mean))
    with torch.no_grad():
        conditioning.project.weight.zero_()
        conditioning.project.bias.copy_(torch.tensor([*mean, *log_variance]))
    return conditioning


def test_mean_and_log_variance_are_the_halves_of_one_linear_layer() -> None:
    torch.manual_seed(0)
    conditioning = ConditioningAugmentation(6, 4)
    embedding = torch.randn(5, 6)
    _, mean, log_variance = conditioning(embedding, torch.zeros(5, 4))
    expected = F.linear(embedding, conditioning.project.weight / math.sqrt(6))
    torch.testing.assert_close(torch.cat([mean, log_variance], dim=1), expected)


def test_condition_is_mean_plus_noise_times_standard_deviation() -> None:
    conditioning = constant_augmentation([1.0, -2.0], [2 * math.log(3), 2 * math.log(0.5)])
    condition, _, _ = conditioning(torch.randn(2, 3), torch.tensor([[1.0, 1.0], [-2.0, 4.0]]))
    torch.testing.assert_close(condition, torch.tensor([[4.0, -1.5], [-5.0, 0.0]]))


def test_without_noise_the_condition_is_the_mean() -> None:
    torch.manual_seed(0)
    condition, mean, _ = ConditioningAugmentation(6, 4)(torch.randn(5, 6), torch.zeros(5, 4))
    assert torch.equal(condition, mean)


def test_gradient_reaches_the_embedding_through_mean_and_variance() -> None:
    torch.manual_seed(0)
    embedding = torch.randn(5, 6, requires_grad=True)
    conditioning = ConditioningAugmentation(6, 4)
    conditioning(embedding, torch.randn(5, 4))[0].sum().backward()
    assert embedding.grad is not None
    assert (embedding.grad.abs().sum(dim=1) > 0).all()
    assert conditioning.project.weight.grad is not None
    assert (conditioning.project.weight.grad.abs().sum(dim=1) > 0).all()

import pytest
import torch
from torch import Tensor, nn

from t2f.objectives import R1, R2, WGANGP, GradientPenalty
from t2f.objectives.penalties import Critic, squared_gradient_norm

SHAPE = (3, 3, 4, 4)


@pytest.fixture
def real() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def fake() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def w() -> Tensor:
    weights = torch.randn(SHAPE[1:], generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return (weights * 2.5 / weights.norm()).requires_grad_()  # the norm is 2.5


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(3)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0)]
    return nn.Sequential(*layers).double()


def value_of(penalty: GradientPenalty, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """Return the penalty with its weight, as it is added to the loss."""
    return penalty.weight * penalty.every * penalty.penalty(critic, real, fake)


def linear(w: Tensor) -> Critic:
    """D(x) = <w, x>, whose gradient is w everywhere."""
    return lambda x: (x * w).sum(dim=(1, 2, 3))


def bowl(x: Tensor) -> Tensor:
    """D(x) = ||x||^2 / 2, whose gradient is x."""
    return 0.5 * x.square().sum(dim=(1, 2, 3))


@pytest.mark.parametrize("penalty", [R1(10.0), R2(10.0)], ids=["R1", "R2"])
def test_r1_and_r2_of_a_linear_critic(penalty: GradientPenalty, w: Tensor, real: Tensor, fake: Tensor) -> None:
    value = value_of(penalty, linear(w), real, fake)
    assert value.item() == pytest.approx(10 / 2 * 2.5**2)
    (gradient,) = torch.autograd.grad(value, w)
    torch.testing.assert_close(gradient, 10 * w.detach())


def test_interpolated_penalty_of_a_linear_critic(w: Tensor, real: Tensor, fake: Tensor) -> None:
    value = value_of(WGANGP(10.0), linear(w), real, fake)
    assert value.item() == pytest.approx(10 * (2.5 - 1) ** 2)
    (gradient,) = torch.autograd.grad(value, w)
    torch.testing.assert_close(gradient, 2 * 10 * (2.5 - 1) * w.detach() / 2.5)


def test_interpolated_penalty_is_zero_at_slope_one(w: Tensor, real: Tensor, fake: Tensor) -> None:
    value = value_of(WGANGP(10.0), linear(w / 2.5), real, fake)
    assert value.item() == pytest.approx(0, abs=1e-9)


def test_r1_uses_real_and_r2_fake_samples(real: Tensor, fake: Tensor) -> None:
    assert value_of(R1(2.0), bowl, real, fake).item() == pytest.approx(real.square().sum().item() / len(real))
    assert value_of(R2(2.0), bowl, real, fake).item() == pytest.approx(fake.square().sum().item() / len(fake))


def test_interpolated_penalty_is_computed_between_each_real_and_its_fake(real: Tensor, fake: Tensor) -> None:
    inputs: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        inputs.append(x.detach())
        return bowl(x)

    torch.manual_seed(0)
    value = value_of(WGANGP(1.0), critic, real, fake)
    (between,) = inputs
    fractions = (between - real) / (fake - real)
    first = fractions[:, :1, :1, :1]
    torch.testing.assert_close(fractions, first.expand(SHAPE))  # the same for all pixels of an image
    assert ((first >= 0) & (first <= 1)).all()
    assert first.unique().numel() == len(real)  # and different for each image
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    torch.testing.assert_close(value, expected)


def test_squared_gradient_norm_is_that_of_finite_differences(net: nn.Module, real: Tensor) -> None:
    step = 1e-5
    flat = real.flatten(1)
    gradient = torch.empty_like(flat)
    with torch.no_grad():
        for i in range(flat.shape[1]):
            move = torch.zeros_like(flat)
            move[:, i] = step
            gradient[:, i] = (net((flat + move).view(SHAPE)) - net((flat - move).view(SHAPE))) / (2 * step)
    torch.testing.assert_close(squared_gradient_norm(net, real), gradient.square().sum(dim=1), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("penalty", [R1(3.0), R2(3.0), WGANGP(3.0)], ids=["R1", "R2", "WGANGP"])
def test_the_penalty_has_the_right_gradient_by_the_critics_weights(
    penalty: GradientPenalty, net: nn.Module, real: Tensor, fake: Tensor
) -> None:
    def value() -> Tensor:
        torch.manual_seed(0)  # the same interpolation each time
        return value_of(penalty, net, real, fake)

    weight = net[0].weight
    (gradient,) = torch.autograd.grad(value(), weight)
    assert gradient.abs().max() > 1e-3
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    step = 1e-5
    with torch.no_grad():
        weight += step * direction
    above = value().item()
    with torch.no_grad():
        weight -= 2 * step * direction
    below = value().item()
    assert (gradient * direction).sum().item() == pytest.approx((above - below) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("kind", [R1, R2, WGANGP])
def test_a_lazy_penalty_has_the_same_average(
    kind: type[GradientPenalty], w: Tensor, real: Tensor, fake: Tensor
) -> None:
    steps, every = 48, 16
    each = value_of(kind(10.0), linear(w), real, fake).item() * steps
    lazy = value_of(kind(10.0, every=every), linear(w), real, fake).item() * (steps // every)
    assert lazy == pytest.approx(each)


@pytest.mark.parametrize("penalty", [R1(3.0), R2(3.0), WGANGP(3.0)], ids=["R1", "R2", "WGANGP"])
def test_the_penalty_does_not_change_the_samples(
    penalty: GradientPenalty, net: nn.Module, real: Tensor, fake: Tensor
) -> None:
    fake.requires_grad_()  # as an output of a generator does
    copies = real.clone(), fake.detach().clone()
    value_of(penalty, net, real, fake).backward()
    assert fake.grad is None
    assert not real.requires_grad
    assert torch.equal(real, copies[0])
    assert torch.equal(fake, copies[1])


def test_interpolated_penalty_of_a_flat_critic_has_a_finite_gradient(real: Tensor, fake: Tensor) -> None:
    w = torch.zeros(SHAPE[1:], dtype=torch.float64, requires_grad=True)
    value = value_of(WGANGP(10.0), linear(w), real, fake)
    assert value.item() == pytest.approx(10, rel=1e-5)
    (gradient,) = torch.autograd.grad(value, w)
    assert gradient.isfinite().all()

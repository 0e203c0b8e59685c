import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from t2f.objectives import GANLoss, Hinge, LeastSquares, NonSaturating, Relativistic, Wasserstein

ALL = [NonSaturating, Hinge, LeastSquares, Wasserstein, Relativistic]
REAL, FAKE, MISMATCHED = np.array([1.0, -1.5, 3.0]), np.array([0.0, 2.0, -4.0]), np.array([0.5, -0.5, 1.5])


def scores(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values)


def discriminator_loss(loss: GANLoss, real: Tensor, fake: Tensor, mismatched: Tensor, weight: float = 1.0) -> Tensor:
    """Return the mean over rows, with this weight of mismatched text."""
    return (loss.discriminator(real, fake) + weight * loss.mismatched(mismatched, real)).mean()


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (NonSaturating(), softplus(-REAL).mean() + softplus(FAKE).mean() + 0.5 * softplus(MISMATCHED).mean()),
        # max(0, 1 - real): 0, 2.5, 0; max(0, 1 + fake): 1, 3, 0; max(0, 1 + mismatched): 1.5, 0.5, 2.5
        (Hinge(), 2.5 / 3 + 4 / 3 + 0.5 * 4.5 / 3),
        # (real - 1)^2: 0, 6.25, 4; fake^2: 0, 4, 16; mismatched^2: 0.25, 0.25, 2.25
        (LeastSquares(), 0.5 * (10.25 / 3 + 20 / 3 + 0.5 * 2.75 / 3)),
        # means: real 2.5 / 3, fake -2 / 3, mismatched 0.5; real^2: 1, 2.25, 9
        (Wasserstein(drift=0.1), -2.5 / 3 + 0.1 * 12.25 / 3 - 2 / 3 + 0.5 * 0.5),
        (Relativistic(), softplus(FAKE - REAL).mean() + 0.5 * softplus(MISMATCHED - REAL).mean()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_discriminators_loss_by_hand(loss: GANLoss, expected: float) -> None:
    found = discriminator_loss(loss, scores(REAL), scores(FAKE), scores(MISMATCHED), weight=0.5)
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (NonSaturating(), softplus(-FAKE).mean()),
        (Hinge(), 2 / 3),
        (LeastSquares(), 0.5 * (1 + 1 + 25) / 3),
        (Wasserstein(), 2 / 3),
        (Relativistic(), softplus(REAL - FAKE).mean()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_generators_loss_by_hand(loss: GANLoss, expected: float) -> None:
    assert loss.generator(scores(FAKE), scores(REAL)).mean().item() == pytest.approx(expected)


def test_zero_logits_cost_two_log_two() -> None:
    """Goodfellow et al. 2014, theorem 1: at the global optimum the value is -log 4."""
    zero = torch.zeros(5)
    assert NonSaturating().discriminator(zero, zero).mean().item() == pytest.approx(math.log(4))


@pytest.mark.parametrize(
    ("loss", "best"),
    [
        # The best score if real, fake and mismatched samples are equal, with weights 1 : 1 : 0.5.
        (NonSaturating(), -math.log(1.5)),  # the log odds of a real sample
        (LeastSquares(), 1 / 2.5),  # the probability of a real sample
        (Hinge(), -1.0),  # fake is more likely
        (Wasserstein(drift=0.1), -2.5),  # d/ds (-s + 0.1 s^2 + 1.5 s) = 0
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_best_score_depends_on_the_probability_of_a_real_sample(loss: GANLoss, best: float) -> None:
    def cost(score: float) -> float:
        same = torch.full((2,), score, dtype=torch.float64)
        return discriminator_loss(loss, same, same, same, weight=0.5).item()

    assert minimize_scalar(cost, bracket=(-3, 3)).x == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("kind", ALL)
def test_the_discriminators_loss_raises_real_and_lowers_fake_and_mismatched_logits(kind: type[GANLoss]) -> None:
    real, fake, mismatched = (torch.zeros(4, requires_grad=True) for _ in range(3))
    # Least squares has its fake target at 0, so start above it.
    discriminator_loss(kind(), real, fake + 0.1, mismatched + 0.1).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert mismatched.grad is not None
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    assert (mismatched.grad > 0).all()


@pytest.mark.parametrize("kind", ALL)
def test_the_generators_loss_raises_its_logits(kind: type[GANLoss]) -> None:
    fake = torch.zeros(4, requires_grad=True)
    kind().generator(fake, torch.zeros(4)).mean().backward()
    assert fake.grad is not None
    assert (fake.grad < 0).all()


def test_least_squares_has_its_optimum_for_generated_samples_at_one() -> None:
    fake = torch.ones(4, requires_grad=True)
    LeastSquares().generator(fake, None).mean().backward()
    assert fake.grad is not None
    assert fake.grad.abs().max() == 0


@pytest.mark.parametrize("kind", ALL)
def test_mismatched_text_counts_as_fake_at_full_weight(kind: type[GANLoss]) -> None:
    one = discriminator_loss(kind(), scores(REAL), scores(FAKE), scores(MISMATCHED))
    torch.testing.assert_close(one, discriminator_loss(kind(), scores(REAL), scores(MISMATCHED), scores(FAKE)))


def test_non_saturating_generator_does_not_saturate() -> None:
    fake = torch.tensor([-30.0], requires_grad=True)
    NonSaturating().generator(fake, None).mean().backward()
    assert fake.grad is not None
    assert fake.grad.item() == pytest.approx(-1)


@pytest.mark.parametrize("kind", ALL)
def test_losses_stay_finite_at_extreme_scores(kind: type[GANLoss]) -> None:
    high, low = torch.full((2,), 1e4), torch.full((2,), -1e4)
    for real, fake in [(high, low), (low, high)]:
        assert discriminator_loss(kind(), real, fake, fake).isfinite()
        assert kind().generator(fake, real).isfinite().all()


def test_hinge_is_zero_beyond_the_margin() -> None:
    assert Hinge().discriminator(torch.tensor([1.0, 9.0]), torch.tensor([-1.0, -9.0])).tolist() == [0, 0]


@pytest.mark.parametrize("shift", [-7.0, 100.0])
def test_relativistic_loss_depends_on_differences_only(shift: float) -> None:
    loss = Relativistic()
    real, fake, mismatched = (scores(values) for values in (REAL, FAKE, MISMATCHED))
    moved = discriminator_loss(loss, real + shift, fake + shift, mismatched + shift)
    torch.testing.assert_close(moved, discriminator_loss(loss, real, fake, mismatched))
    torch.testing.assert_close(loss.generator(fake + shift, real + shift), loss.generator(fake, real))


@pytest.mark.parametrize("kind", ALL)
def test_relativistic_is_true_exactly_if_real_logits_matter(kind: type[GANLoss]) -> None:
    fake = scores(FAKE)
    same = torch.equal(kind().generator(fake, scores(REAL)), kind().generator(fake, scores(MISMATCHED)))
    assert kind.relativistic == (not same)

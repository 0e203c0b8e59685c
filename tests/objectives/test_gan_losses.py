import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from t2f.objectives import GANLoss, Hinge, LeastSquares, NonSaturating, Relativistic, Wasserstein

ALL = [NonSaturating, Hinge, LeastSquares, Wasserstein, Relativistic]
REAL, FAKE, WRONG = np.array([1.0, -1.5, 3.0]), np.array([0.0, 2.0, -4.0]), np.array([0.5, -0.5, 1.5])


def scores(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values)


def discriminator_loss(loss: GANLoss, real: Tensor, fake: Tensor, wrong: Tensor, weight: float = 1.0) -> Tensor:
    """The mean over rows, with mismatched text at this weight."""
    return (loss.discriminator(real, fake) + weight * loss.mismatched(wrong, real)).mean()


def softplus(x: np.ndarray) -> np.ndarray:
    return np.log1p(np.exp(x))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (NonSaturating(), softplus(-REAL).mean() + softplus(FAKE).mean() + 0.5 * softplus(WRONG).mean()),
        # max(0, 1 - real): 0, 2.5, 0; max(0, 1 + fake): 1, 3, 0; max(0, 1 + wrong): 1.5, 0.5, 2.5
        (Hinge(), 2.5 / 3 + 4 / 3 + 0.5 * 4.5 / 3),
        # (real - 1)^2: 0, 6.25, 4; fake^2: 0, 4, 16; wrong^2: 0.25, 0.25, 2.25
        (LeastSquares(), 0.5 * (10.25 / 3 + 20 / 3 + 0.5 * 2.75 / 3)),
        # means: real 2.5 / 3, fake -2 / 3, wrong 0.5; real^2: 1, 2.25, 9
        (Wasserstein(drift=0.1), -2.5 / 3 + 0.1 * 12.25 / 3 - 2 / 3 + 0.5 * 0.5),
        (Relativistic(), softplus(FAKE - REAL).mean() + 0.5 * softplus(WRONG - REAL).mean()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_discriminators_loss_by_hand(loss: GANLoss, expected: float) -> None:
    found = discriminator_loss(loss, scores(REAL), scores(FAKE), scores(WRONG), weight=0.5)
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


def test_an_undecided_discriminator_costs_two_log_two() -> None:
    """Goodfellow et al. 2014, theorem 1: at the global optimum the value is -log 4."""
    zero = torch.zeros(5)
    assert NonSaturating().discriminator(zero, zero).mean().item() == pytest.approx(math.log(4))


@pytest.mark.parametrize(
    ("loss", "best"),
    [
        # Where real, fake and wrong look alike with densities 1 : 1 : w, ...
        (NonSaturating(), -math.log(1.5)),  # the log odds of real
        (LeastSquares(), 1 / 2.5),  # the chance of real
        (Hinge(), -1.0),  # the sign of the likelier
        (Wasserstein(drift=0.1), -2.5),  # d/ds (-s + 0.1 s^2 + 1.5 s) = 0
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_best_score_says_how_likely_real_is(loss: GANLoss, best: float) -> None:
    def cost(score: float) -> float:
        same = torch.full((2,), score, dtype=torch.float64)
        return discriminator_loss(loss, same, same, same, weight=0.5).item()

    assert minimize_scalar(cost, bracket=(-3, 3)).x == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("kind", ALL)
def test_discriminator_wants_real_high_and_fake_and_wrong_low(kind: type[GANLoss]) -> None:
    real, fake, wrong = (torch.zeros(4, requires_grad=True) for _ in range(3))
    # Least squares has its fake target at 0, so start above it.
    discriminator_loss(kind(), real, fake + 0.1, wrong + 0.1).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert wrong.grad is not None
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    assert (wrong.grad > 0).all()


@pytest.mark.parametrize("kind", ALL)
def test_generator_wants_its_scores_high(kind: type[GANLoss]) -> None:
    fake = torch.zeros(4, requires_grad=True)
    kind().generator(fake, torch.zeros(4)).mean().backward()
    assert fake.grad is not None
    assert (fake.grad < 0).all()


def test_least_squares_wants_generated_scores_at_one() -> None:
    fake = torch.ones(4, requires_grad=True)
    LeastSquares().generator(fake, None).mean().backward()
    assert fake.grad is not None
    assert fake.grad.abs().max() == 0


@pytest.mark.parametrize("kind", ALL)
def test_wrong_words_count_as_fake_at_full_weight(kind: type[GANLoss]) -> None:
    one = discriminator_loss(kind(), scores(REAL), scores(FAKE), scores(WRONG))
    torch.testing.assert_close(one, discriminator_loss(kind(), scores(REAL), scores(WRONG), scores(FAKE)))


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


def test_hinge_leaves_scores_beyond_the_margin_alone() -> None:
    assert Hinge().discriminator(torch.tensor([1.0, 9.0]), torch.tensor([-1.0, -9.0])).tolist() == [0, 0]


@pytest.mark.parametrize("shift", [-7.0, 100.0])
def test_relativistic_loss_sees_differences_only(shift: float) -> None:
    loss = Relativistic()
    real, fake, wrong = (scores(values) for values in (REAL, FAKE, WRONG))
    moved = discriminator_loss(loss, real + shift, fake + shift, wrong + shift)
    torch.testing.assert_close(moved, discriminator_loss(loss, real, fake, wrong))
    torch.testing.assert_close(loss.generator(fake + shift, real + shift), loss.generator(fake, real))


@pytest.mark.parametrize("kind", ALL)
def test_a_loss_asks_for_real_scores_exactly_when_they_matter(kind: type[GANLoss]) -> None:
    fake = scores(FAKE)
    same = torch.equal(kind().generator(fake, scores(REAL)), kind().generator(fake, scores(WRONG)))
    assert kind.relativistic == (not same)

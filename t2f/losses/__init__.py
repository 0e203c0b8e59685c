"""Adversarial losses and gradient penalties, each a config value."""

from t2f.losses.adversarial import AdversarialLoss, Hinge, LeastSquares, Logistic, Relativistic, Wasserstein
from t2f.losses.penalties import R1, R2, GradientPenalty, Interpolated

__all__ = [
    "R1",
    "R2",
    "AdversarialLoss",
    "GradientPenalty",
    "Hinge",
    "Interpolated",
    "LeastSquares",
    "Logistic",
    "Relativistic",
    "Wasserstein",
]

"""The terms of the loss, one class each."""

from t2f.objectives.adversarial import Conditional, Mismatched, Unconditional
from t2f.objectives.attributes import AttributeClassification
from t2f.objectives.base import GANStep, Objective, masked_mean
from t2f.objectives.contrastive import Contrastive
from t2f.objectives.gan_losses import (
    GANLoss,
    Hinge,
    LeastSquares,
    NonSaturating,
    PointwiseLoss,
    Relativistic,
    Wasserstein,
)
from t2f.objectives.kl import ConditioningKL
from t2f.objectives.penalties import R1, R2, WGANGP, GradientPenalty

__all__ = [
    "R1",
    "R2",
    "WGANGP",
    "AttributeClassification",
    "Conditional",
    "ConditioningKL",
    "Contrastive",
    "GANLoss",
    "GANStep",
    "GradientPenalty",
    "Hinge",
    "LeastSquares",
    "Mismatched",
    "NonSaturating",
    "Objective",
    "PointwiseLoss",
    "Relativistic",
    "Unconditional",
    "Wasserstein",
    "masked_mean",
]

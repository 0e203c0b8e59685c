"""The terms of the loss, one class each."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "base": ["GANStep", "Objective", "masked_mean"],
        "adversarial": ["Conditional", "Mismatched", "Unconditional"],
        "gan_losses": [
            "GANLoss",
            "Hinge",
            "LeastSquares",
            "NonSaturating",
            "PointwiseLoss",
            "Relativistic",
            "Wasserstein",
        ],
        "penalties": ["R1", "R2", "WGANGP", "GradientPenalty"],
        "contrastive": ["Contrastive"],
        "attributes": ["AttributeClassification"],
        "kl": ["ConditioningKL"],
        "mode_seeking": ["ModeSeeking"],
    },
)

"""torchmetrics Metrics and feature extractors."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "efficientnet": ["EfficientNetLite"],
        "inception": ["Inception"],
        "distances": ["FrechetDistance", "KernelDistance"],
        "inception_score": ["ClassScore"],
        "neighbors": ["PrecisionRecall", "Diversity", "Memorization"],
        "perceptual": ["PerceptualDiversity"],
        "face_detection": ["FaceDetectionRate"],
        "retrieval": ["RPrecision"],
        "attribute_accuracy": ["AttributeAccuracy"],
    },
)

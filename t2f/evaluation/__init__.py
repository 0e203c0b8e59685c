"""Evaluation of a model: image quality, text alignment, reports and the comparison of runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "evaluator": ["Evaluator"],
        "attribute_alignment": ["AttributeAlignment"],
        "retrieval_alignment": ["RetrievalAlignment"],
        "clip_alignment": ["ClipAlignment"],
        "callback": ["ValidationMetrics"],
    },
)

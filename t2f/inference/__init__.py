"""The text-to-face pipeline: load models, generate images, export models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "pipeline": ["Pipeline"],
        "load": ["load"],
    },
)

"""Load a model, generate images, export and publish it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "pipeline": ["Pipeline"],
        "load": ["load"],
    },
)

"""Generators and discriminators: plain modules, independent of Lightning and of configs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "progressive": ["ProgressiveGenerator", "ProgressiveDiscriminator"],
        "multiscale": ["MultiScaleGenerator", "MultiScaleDiscriminator"],
        "modulated": ["ModulatedGenerator"],
        "projected": ["ProjectedDiscriminator"],
        "dcgan": ["DCGANGenerator", "DCGANDiscriminator"],
        "diffaugment": ["DiffAugment"],
    },
)

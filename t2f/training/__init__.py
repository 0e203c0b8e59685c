"""The LightningModule, its callbacks and loggers, the growth schedule, batches, and resuming."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "conditional_gan": ["ConditionalGAN"],
        "growth_schedule": ["GrowthSchedule"],
        "lr_schedule": ["LinearDecay", "StepDecay"],
        "performance": ["Performance"],
        "batches.datamodule": ["FaceDataModule"],
    },
)

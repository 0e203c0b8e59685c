"""What the generator is conditioned on: text or attributes, and StackGAN's conditioning augmentation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "attributes": ["AttributeConditioner"],
        "sentences": ["TokenConditioner"],
        "frozen_encoder": ["FrozenTextConditioner"],
        "augmentation": ["ConditioningAugmentation"],
        "conditional_generator": ["ConditionalGenerator"],
    },
)

"""Images of faces with captions and attributes, decoded once into a memory-mapped cache."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "faces": ["Faces"],
        "datasets.avatars": ["Avatars"],
        "datasets.celeba": ["CelebA"],
        "datasets.face2text": ["Face2Text"],
        "datasets.image_folder": ["ImageFolder"],
        "datasets.hf_hub": ["HFHub"],
        "captions.generate": ["generate_caption"],
    },
)

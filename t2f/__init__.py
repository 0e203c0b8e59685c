"""t2f: text-to-face GANs with PyTorch Lightning and Hydra."""

__version__ = "0.1.0"

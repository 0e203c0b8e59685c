"""Utilities that all other folders may import: errors, files, images, progress, signals."""

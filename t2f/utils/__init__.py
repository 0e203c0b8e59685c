"""Errors, files, images, progress and signals: what every folder may use."""

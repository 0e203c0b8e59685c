"""Batches of images and conditions, as a function of images seen."""

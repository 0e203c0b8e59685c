"""Metadata tables and the image files that they refer to."""

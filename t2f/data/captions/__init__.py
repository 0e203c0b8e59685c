"""Attributes to English sentences."""

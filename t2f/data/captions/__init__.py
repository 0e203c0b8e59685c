"""English captions generated from attributes."""

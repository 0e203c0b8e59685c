"""Where faces and their words come from."""

"""From words to a vector."""

"""A trained model for other programs: what is written beside its weights, and what tells of it."""

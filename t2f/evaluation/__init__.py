"""What a model is worth: measured, reported, repeatable."""

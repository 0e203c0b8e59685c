"""Lightning loggers: CSV and Weights & Biases."""

"""What a face is asked to be, as rows of numbers: from words or from attributes."""

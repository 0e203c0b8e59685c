"""What makes the next batch: faces and their conditions, on the clock of images seen."""

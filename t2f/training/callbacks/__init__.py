"""What happens around training: growth, sheets, checkpoints, reports."""

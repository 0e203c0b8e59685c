"""Image files to square uint8 arrays."""

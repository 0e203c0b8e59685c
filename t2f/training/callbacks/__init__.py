"""Lightning callbacks: growth, checkpoints, sample grids, progress."""

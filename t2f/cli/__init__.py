"""What the `t2f` command line calls."""

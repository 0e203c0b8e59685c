"""The `t2f` command line and the demo page."""

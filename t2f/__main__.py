"""Entry point of `python -m t2f`, the same as the `t2f` command."""

from t2f.cli.app import run

run()

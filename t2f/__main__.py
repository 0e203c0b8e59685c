"""python -m t2f: the `t2f` command line."""

from t2f.cli.app import run

run()

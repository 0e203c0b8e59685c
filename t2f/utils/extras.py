"""Installation commands for optional dependencies."""

from __future__ import annotations

import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def install_command(extra: str) -> str:
    """Return the pip command that installs an extra of t2f.

    Args:
        extra: A key of `[project.optional-dependencies]` in pyproject.toml, such as "video".

    Returns:
        A shell command that works in the current folder, for a clone as well as for an installed wheel.
    """
    if not (ROOT / "pyproject.toml").is_file():
        return f"pip install 't2f[{extra}]'"
    clone = "." if Path.cwd() == ROOT else ROOT
    return f"pip install -e {shlex.quote(f'{clone}[{extra}]')}"

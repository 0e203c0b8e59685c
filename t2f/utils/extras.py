"""Optional dependencies: the command that installs the extra which a feature needs."""

from __future__ import annotations

import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def install_command(extra: str) -> str:
    """The pip command that installs an extra of t2f, from where the user is: in the clone, beside it, or from a wheel.

    Args:
        extra: a key of `[project.optional-dependencies]` in pyproject.toml, such as "video".
    """
    if not (ROOT / "pyproject.toml").is_file():
        return f"pip install 't2f[{extra}]'"
    place = "." if Path.cwd() == ROOT else ROOT
    return f"pip install -e {shlex.quote(f'{place}[{extra}]')}"

"""Optional dependencies, and the commands that install them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from t2f.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


class MissingPackage(UserError):
    """A package of an extra is not installed."""


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Turn a failed import in the block into `MissingPackage`, with the command that installs the package.

    Args:
        what: What needs the package, as the subject of a sentence.
        extra: See `install_command`.
    """
    try:
        yield
    except ImportError as error:
        raise MissingPackage(f"{what} needs a package ({error}): {install_command(extra)}.") from error


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

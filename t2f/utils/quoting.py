"""Commands and Hydra overrides, quoted so that a shell and Hydra read back the same text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString

from t2f.utils.instantiate import escape_interpolations

if TYPE_CHECKING:
    from rich.console import Console

UNQUOTED = re.compile(r"(?!(?:true|false|null|nan|[+-]?inf)$)(?=[A-Za-z_/])[\w./-]+", re.ASCII | re.IGNORECASE)
"""Texts that Hydra reads unchanged without quotes, not as a number, Boolean or null."""


def format_override(key: str, value: str | Path) -> str:
    """Return the override KEY=VALUE, quoted so that Hydra reads exactly this text.

    >>> print(format_override("resume", "runs/t2f/a"), format_override("name", "run (1), a=b"))
    resume=runs/t2f/a name="run (1), a=b"
    >>> print(format_override("name", "1"))
    name="1"
    """
    text = str(value)
    if UNQUOTED.fullmatch(text) and ".." not in text:
        return f"{key}={text}"
    return f"{key}={QuotedString(escape_interpolations(text), Quote.double).with_quotes()}"


def override_value(override: str) -> str:
    """Return the value of the override KEY=VALUE as text, without quotes."""
    return str(OverridesParser.create().parse_override(override).value())


def drop_overrides(overrides: Iterable[str], *keys: str) -> list[str]:
    """Return the overrides of all other keys than these."""
    return [override for override in overrides if override.partition("=")[0].lstrip("+~") not in keys]


def shell_command(*words: str) -> str:
    """Quote words for a POSIX shell.

    >>> print(shell_command("t2f", "generate", "it's"))
    t2f generate 'it'"'"'s'
    """
    return shlex.join(words)


def path_argument(path: str | Path) -> str:
    """Return a path that a command does not read as an option, though it starts with a hyphen."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def train_command(*overrides: str, sweep: bool = False) -> str:
    """Return the command that trains with these overrides, or runs a sweep of them."""
    return shell_command("python", "train.py", *(["-m"] if sweep else []), *overrides)


def generate_command(description: str, model: str | Path) -> str:
    """Return the command that generates images of a description, which may start with a hyphen."""
    option = ["--model", str(model)]
    arguments = [*option, "--", description] if description.startswith("-") else [description, *option]
    return shell_command("t2f", "generate", *arguments)


def print_verbatim(line: str, console: Console) -> None:
    """Print a line for copying, without rich's emoji codes, markup and tab expansion."""
    print(line, file=console.file, flush=True)  # flush, as Console.print does, to keep the order of lines in a pipe

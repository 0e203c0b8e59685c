"""What a user may type: settings and commands, quoted so that they mean what they say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString

from t2f.utils.instantiate import escaped

if TYPE_CHECKING:
    from rich.console import Console

PLAIN = re.compile(r"(?!(?:true|false|null|nan|[+-]?inf)$)(?=[A-Za-z_/])[\w./-]+", re.ASCII | re.IGNORECASE)
"""Texts that Hydra's grammar takes for themselves, and for no number, truth value or nothing."""


def override(key: str, value: str | Path) -> str:
    """The setting KEY=VALUE in Hydra's grammar, in which this very text is the value.

    >>> print(override("resume", "runs/t2f/a"), override("name", "run (1), a=b"), override("name", "1"))
    resume=runs/t2f/a name="run (1), a=b" name="1"
    """
    text = str(value)
    if PLAIN.fullmatch(text) and ".." not in text:
        return f"{key}={text}"
    return f"{key}={QuotedString(escaped(text), Quote.double).with_quotes()}"


def in_shell(*words: str) -> str:
    """Words as a POSIX shell reads them.

    >>> print(in_shell("t2f", "generate", "it's"))
    t2f generate 'it'"'"'s'
    """
    return shlex.join(words)


def place(path: str | Path) -> str:
    """A path that no command takes for an option."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def generate(description: str, model: str | Path) -> str:
    """The command that draws a description, also one that begins like an option."""
    words = (
        ["--model", str(model), "--", description]
        if description.startswith("-")
        else [description, "--model", str(model)]
    )
    return in_shell("t2f", "generate", *words)


def show_exactly(line: str, console: Console) -> None:
    """A line to copy: as it is, where rich would make emojis of :words: and blanks of tabs."""
    print(line, file=console.file, flush=True)  # at once in a pipe, too, as Console.print does


def train(*settings: str, sweep: bool = False) -> str:
    """The command of a training with these settings, in Hydra's grammar."""
    return in_shell("python", "train.py", *(["-m"] if sweep else []), *settings)


def without(settings: Iterable[str], *keys: str) -> list[str]:
    """The settings less those of some keys."""
    return [each for each in settings if each.partition("=")[0].lstrip("+~") not in keys]


def value_of(setting: str) -> str:
    """The value of a setting in Hydra's grammar, as text."""
    return str(OverridesParser.create().parse_override(setting).value())

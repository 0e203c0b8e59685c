"""Errors that end in one sentence."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from traceback import walk_tb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra.errors import HydraException
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

FULL = (errno.ENOSPC, errno.EDQUOT)
OF_PLACES = (
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
"""Errors of a file's or a folder's place, not of the program."""


class UserError(Exception):
    """Something that the user can mend. The message says what is wrong, where, and what to do."""


USER_ERROR = f"{UserError.__module__}.{UserError.__name__}: "


def require(condition: bool, message: str) -> None:
    """Raise `UserError` unless the condition holds."""
    if not condition:
        raise UserError(message)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn the operating system's errors on writing `what` into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(
                f"The disk is full, so {what} could not be written: free some space and run again."
            ) from error
        raise UserError(
            f"{what[0].upper()}{what[1:]} could not be written ({error.strerror or error}): choose another place for "
            "it (folders are set by --out, paths.cache and paths.runs)."
        ) from error


def sentence_of(error: BaseException) -> str | None:
    """What to tell the user of an error, or None where only a stack trace can tell."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__

    # Imported here, for the processes that draw faces, for --help and for the sentences above to start at once.
    import torch
    from hydra.errors import HydraException
    from lightning_fabric.utilities.exceptions import MisconfigurationException
    from omegaconf.errors import OmegaConfBaseException
    from torch.multiprocessing.spawn import ProcessRaisedException

    sentence = None
    if isinstance(error, HydraException):
        sentence = sentence_of_hydra(error)
    elif isinstance(error, OmegaConfBaseException):
        sentence = sentence_of_omegaconf(error)
    elif isinstance(error, MisconfigurationException) or (isinstance(error, ValueError) and is_of_hydra(error)):
        sentence = first_line(error)
    elif type(error).__module__.startswith("wandb."):
        sentence = f"Weights & Biases: {str(error).rstrip('.')}; or set WANDB_MODE=offline, which needs no account."
    elif type(error).__module__.startswith(("torch._inductor.", "torch._dynamo.")):
        why = str(getattr(error, "inner_exception", error)).strip().partition("\n")[0]  # wrapped in lines of its own
        sentence = (
            f"The networks cannot be compiled here ({why}): train with "
            "performance.compile=false performance.cuda_graphs=false."
        )
    elif isinstance(error, torch.OutOfMemoryError):
        sentence = (
            "The device's memory is full: lower growth.batch_sizes or model.networks.generator.channels, or keep the "
            "faces out of it with loader.faces_on_device=false."
        )
    elif isinstance(error, ProcessRaisedException) and USER_ERROR in str(error):  # what the process would have printed
        sentence = str(error).rpartition(USER_ERROR)[2].strip()
    elif isinstance(error, OSError) and error.errno in FULL:
        sentence = f"The disk is full ({error.filename or error.strerror}): free some space and run again."
    elif isinstance(error, OSError) and error.errno in OF_PLACES and error.filename is not None:
        sentence = (
            f"{os.fsdecode(error.filename)} cannot be used ({error.strerror}): choose another place, or give rights "
            "to it (folders are set by --out, paths.cache, paths.runs, hydra.run.dir and hydra.sweep.dir)."
        )
    elif isinstance(error, RuntimeError) and "DataLoader worker" in str(error):
        sentence = (
            "A process that reads the data has died, as the system ends some where memory is short: lower workers, "
            "and go on with resume=true."
        )
    return sentence


def in_short(error: BaseException) -> str:
    """What to tell of an error where there is no room for a stack trace."""
    from torch.multiprocessing.spawn import ProcessRaisedException

    if isinstance(error, ProcessRaisedException):  # its message is the other process's stack trace
        return sentence_of(error) or str(error).strip().splitlines()[-1]
    return sentence_of(error) or f"{type(error).__name__}: {error}"


def sentence_of_hydra(error: HydraException) -> str:
    """What is wrong with the settings, without Hydra's line breaks and links."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigKeyError

    if isinstance(error, OverrideParseException):
        return (
            f"The setting {error.override} cannot be read ({first_line(error)}): write KEY=VALUE, and put a value with "
            "blanks, commas, brackets, = or quotes in quotes of its own, as in 'name=\"a (b), c\"'."
        )
    if isinstance(error, MissingConfigException) and error.options:
        options = ", ".join(error.options)
        return f"There is no {error.missing_cfg_file} among the configs: choose one of {options}."
    if isinstance(error.__cause__, ConfigKeyError) and error.__cause__.key is not None:
        return sentence_of_missing_key(error.__cause__)
    sentence = " ".join(str(error).split())
    cause = first_line(error.__cause__) if error.__cause__ is not None else ""
    return sentence if not cause or cause in sentence else f"{sentence.rstrip('.')} ({cause})."


def sentence_of_missing_key(error: ConfigKeyError) -> str:
    """Name the key of the config that is nearest to one that is not there."""
    parent, _, _ = str(error.full_key).rpartition(".")
    siblings = list(map(str, error.parent_node or ()))
    near = get_close_matches(str(error.key), siblings, n=1)
    where = f"{parent} has" if parent else "it has"
    choice = f"did you mean {f'{parent}.' if parent else ''}{near[0]}?" if near else f"{where} {', '.join(siblings)}."
    return f"There is no {error.full_key} in the config: {choice}"


def sentence_of_omegaconf(error: OmegaConfBaseException) -> str:
    """The first line, and the key that it is about."""
    sentence = first_line(error)
    return sentence if not error.full_key or error.full_key in sentence else f"{sentence} ({error.full_key})"


def is_of_hydra(error: Exception) -> bool:
    """Whether Hydra itself has raised it, as for options that exclude each other."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__")).startswith("hydra.")


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """At the command line: print one sentence and exit with status 1; with HYDRA_FULL_ERROR=1, the stack trace."""
    try:
        yield
    except Exception as error:
        sentence = None if os.environ.get("HYDRA_FULL_ERROR") == "1" else sentence_of(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(1) from None

"""Errors that users can fix, and their one-sentence messages."""

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
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
PATH_ERRORS = (
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
"""Errors about the path of a file or folder, which another path or other permissions solve."""


class UserError(Exception):
    """An error that the user can fix. The message says what is wrong, where, and what to do."""


USER_ERROR_PREFIX = f"{UserError.__module__}.{UserError.__name__}: "
"""Text before the message of a `UserError` in a stack trace."""


def require(condition: bool, message: str) -> None:
    """Raise `UserError` with the message unless the condition holds."""
    if not condition:
        raise UserError(message)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn each `OSError` of the block into a `UserError`.

    Args:
        what: What the block writes, as in "the table sweep.csv". The message contains it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise UserError(
                f"The disk is full, so {what} could not be written: free some space and run again."
            ) from error
        raise UserError(
            f"{what[0].upper()}{what[1:]} could not be written ({error.strerror or error}): choose another folder "
            "(--out, paths.cache and paths.runs set the folders)."
        ) from error


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Print an error of the block as one sentence and exit with status 1.

    Errors without a user message, and all errors if HYDRA_FULL_ERROR=1, keep their stack trace.
    """
    try:
        yield
    except Exception as error:  # all, to tell those of users from those of the program
        message = None if os.environ.get("HYDRA_FULL_ERROR") == "1" else user_message(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(1) from None


def user_message(error: BaseException) -> str | None:
    """Return a sentence for the user, or None if only the stack trace explains the error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__

    # Imported here because these imports take seconds, and --help and the processes that decode images need none.
    import torch
    from hydra.errors import HydraException
    from lightning_fabric.utilities.exceptions import MisconfigurationException
    from omegaconf.errors import OmegaConfBaseException
    from torch.multiprocessing.spawn import ProcessRaisedException

    message = None
    if isinstance(error, HydraException):
        message = _hydra_message(error)
    elif isinstance(error, OmegaConfBaseException):
        message = _omegaconf_message(error)
    elif isinstance(error, MisconfigurationException) or (isinstance(error, ValueError) and _raised_by_hydra(error)):
        message = first_line(error)
    elif type(error).__module__.startswith("wandb."):
        message = f"Weights & Biases: {str(error).rstrip('.')}; or set WANDB_MODE=offline, which needs no account."
    elif isinstance(error, torch.OutOfMemoryError):
        message = (
            "The device's memory is full: lower growth.batch_sizes or model.networks.generator.channels, or keep the "
            "images in the host's memory with loader.faces_on_device=false."
        )
    elif isinstance(error, ProcessRaisedException) and USER_ERROR_PREFIX in str(error):
        message = str(error).rpartition(USER_ERROR_PREFIX)[2].strip()
    elif isinstance(error, OSError) and error.errno in DISK_FULL:
        message = f"The disk is full ({error.filename or error.strerror}): free some space and run again."
    elif isinstance(error, OSError) and error.errno in PATH_ERRORS and error.filename is not None:
        message = (
            f"{os.fsdecode(error.filename)} cannot be used ({error.strerror}): choose another path or change its "
            "permissions (--out, paths.cache, paths.runs, hydra.run.dir and hydra.sweep.dir set the folders)."
        )
    elif isinstance(error, RuntimeError) and "DataLoader worker" in str(error):
        message = (
            "A data loading process was killed, probably because the memory is full: lower loader.workers and "
            "continue with resume=true."
        )
    return message


def short_message(error: BaseException) -> str:
    """Return the user message, or one line with the error's type and text."""
    from torch.multiprocessing.spawn import ProcessRaisedException

    if message := user_message(error):
        return message
    if isinstance(error, ProcessRaisedException):  # its text is the stack trace of the other process
        return str(error).strip().splitlines()[-1]
    return f"{type(error).__name__}: {error}"


def _hydra_message(error: HydraException) -> str:
    """Describe an error in the config, without Hydra's line breaks and links."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError

    if isinstance(error, OverrideParseException):
        return (
            f"The override {error.override} cannot be parsed ({first_line(error)}): write KEY=VALUE, and put a value "
            "with blanks, commas, brackets, = or quotes in additional quotes, as in 'name=\"a (b), c\"'."
        )
    if isinstance(error, MissingConfigException) and error.options:
        return f"There is no {error.missing_cfg_file} among the configs: choose one of {', '.join(error.options)}."
    if isinstance(error.__cause__, ConfigAttributeError | ConfigKeyError) and error.__cause__.key is not None:
        return _missing_key_message(error.__cause__)
    message = " ".join(str(error).split())
    cause = first_line(error.__cause__) if error.__cause__ is not None else ""
    return message if not cause or cause in message else f"{message.rstrip('.')} ({cause})."


def _missing_key_message(error: ConfigAttributeError | ConfigKeyError) -> str:
    """Suggest the most similar key of the config, or list all keys beside the missing one."""
    parent, _, _ = str(error.full_key).rpartition(".")
    siblings = list(map(str, error.parent_node or ()))
    if similar := get_close_matches(str(error.key), siblings, n=1):
        hint = f"did you mean {f'{parent}.' if parent else ''}{similar[0]}?"
    else:
        hint = f"{parent or 'it'} has {', '.join(siblings)}."
    return f"There is no {error.full_key} in the config: {hint}"


def _omegaconf_message(error: OmegaConfBaseException) -> str:
    message = first_line(error)
    return message if not error.full_key or error.full_key in message else f"{message} ({error.full_key})"


def _raised_by_hydra(error: Exception) -> bool:
    """Whether Hydra itself raised the error, as it does for options that exclude each other."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__")).startswith("hydra.")


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__

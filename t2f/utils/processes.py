"""Locks of folders, and the name of a launch that all processes of a run agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout
from pytorch_lightning.utilities import rank_zero_only
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch's type stubs do not export it

from t2f.utils.errors import UserError, require

TIME_FORMAT = "%Y-%m-%d_%H-%M-%S-%f"


def is_rank_zero() -> bool:
    """Whether this is the process of rank 0, by the environment variables of the launcher."""
    return int(getattr(rank_zero_only, "rank", None) or 0) == 0


def launch_name() -> str:
    """Return the current time as a name, to the microsecond.

    Processes that torchrun or SLURM's srun started together get the same name.

    Raises:
        UserError: If SLURM does not provide the start time of the job.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1:
        return _torchrun_launch_name()
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ:
        return _slurm_launch_name()
    return datetime.now().strftime(TIME_FORMAT)


@cache
def _torchrun_launch_name() -> str:
    """Return the time of rank 0, which the other processes read from torchrun's store."""
    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    key = f"t2f/launch/{os.environ['TORCHELASTIC_RESTART_COUNT']}"
    if os.environ["RANK"] == "0":
        store.set(key, datetime.now().strftime(TIME_FORMAT))
    return store.get(key).decode()


def _slurm_launch_name() -> str:
    """Return the start time of the SLURM job, its id and the id of its step."""
    start = os.environ.get("SLURM_JOB_START_TIME")
    require(
        start is not None,
        "This version of SLURM does not set SLURM_JOB_START_TIME, so the processes cannot agree on a folder: set "
        "hydra.run.dir=FOLDER.",
    )
    time = datetime.fromtimestamp(int(start or 0)).strftime(TIME_FORMAT)
    return f"{time}-{os.environ['SLURM_JOB_ID']}.{os.environ.get('SLURM_STEP_ID', '0')}"


class RunLocked(UserError):
    """Another process is training in the same folder."""


@contextmanager
def exclusive_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder. In a run of several processes, only rank 0 takes the lock.

    Raises:
        RunLocked: If another run holds the lock.
    """
    if not is_rank_zero():
        yield
        return
    try:
        with folder_lock(folder, blocking=False):
            yield
    except Timeout as error:
        raise RunLocked(f"Another process is training in {folder}: wait for it, or stop it.") from error


@contextmanager
def folder_lock(folder: Path, blocking: bool = True) -> Iterator[None]:
    """Hold the lock of a folder, which is created if it is missing.

    A folder that cannot be written is not locked; writing to it raises the error.

    Args:
        folder: The folder, which gets a file `.lock`.
        blocking: Wait while another process holds the lock.

    Raises:
        Timeout: If another process holds the lock and `blocking` is false.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=blocking)
    except Timeout:
        raise
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()

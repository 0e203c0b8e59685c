"""What the processes of one run must agree on before Lightning connects them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout
from pytorch_lightning.utilities import rank_zero_only
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # its types do not export it

from t2f.utils.errors import UserError, require

FORMAT = "%Y-%m-%d_%H-%M-%S-%f"


def first_process() -> bool:
    """Whether this is the first of a run's processes, as their launcher has told them."""
    return int(getattr(rank_zero_only, "rank", None) or 0) == 0


def launch_name() -> str:
    """The time, to the microsecond; where torchrun or SLURM's srun started several processes, the same for all."""
    if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1:
        return torchrun_name()
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ:
        return slurm_name()
    return datetime.now().strftime(FORMAT)


@cache
def torchrun_name() -> str:
    """The time when the first of torchrun's processes asked, told to the others through torchrun's own store."""
    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    key = f"t2f/launch/{os.environ['TORCHELASTIC_RESTART_COUNT']}"
    if os.environ["RANK"] == "0":
        store.set(key, datetime.now().strftime(FORMAT))
    return store.get(key).decode()


def slurm_name() -> str:
    """When SLURM started the job, and the numbers of the job and of its step."""
    start = os.environ.get("SLURM_JOB_START_TIME")
    require(
        start is not None,
        "This SLURM does not tell its jobs when they started, so the processes cannot agree on a folder: set "
        "hydra.run.dir=FOLDER.",
    )
    time = datetime.fromtimestamp(int(start or 0)).strftime(FORMAT)
    return f"{time}-{os.environ['SLURM_JOB_ID']}.{os.environ.get('SLURM_STEP_ID', '0')}"


class RunLocked(UserError):
    """Another process is training where this one was to."""


@contextmanager
def exclusive_run(folder: Path) -> Iterator[None]:
    """Let only one run into the block, of all that train in this folder; of several processes, the first one asks.

    Raises `RunLocked` if there is another.
    """
    if not first_process():
        yield
        return
    try:
        with locked(folder, wait=False):
            yield
    except Timeout as error:
        raise RunLocked(f"Another process is training in {folder}: wait for it, or stop it.") from error


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process into the block, of all that use this folder: the others then find what it has prepared."""
    with locked(folder, wait=True):
        yield


@contextmanager
def locked(folder: Path, wait: bool) -> Iterator[None]:
    """Hold the lock of a folder; raises `Timeout` where another holds it and there is no waiting.

    A folder that cannot be written to is not locked: its users are told when they write.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=wait)
    except Timeout:
        raise
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()

"""Handling of the signals that stop a run: Ctrl-C, `kill`, a closed terminal, and the warnings of clusters."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Lightning uses this object, too. Importing it from here avoids the seconds that importing Lightning takes.
from lightning_utilities.core.rank_zero import rank_zero_only

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]

REPEAT_SECONDS = 2.0
"""Signals within this time after the first one count as repetitions of it.

The terminal sends a signal to all processes of a run, and launchers send it to them once more.
"""
LAST_STEP_SECONDS = 60
"""Time that a data loading process stays alive for the last training step after SIGTERM."""


class StopRequest:
    """A signal handler that records the first signal. A second one is passed to the previous handler.

    Attributes:
        number: The first signal that arrived after `listen`, or None.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.received_at = 0.0
        self.previous: dict[int, Any] = {}
        self.forward: Callable[[int], None] | None = None

    def listen(self, forward: Callable[[int], None] | None = None) -> None:
        """Install the handler, except for signals that are ignored.

        Outside of the main thread, this does nothing, because Python handles signals in the main thread only.

        Args:
            forward: Called with the number of the first signal.
        """
        self.forward, self.number = forward, None
        if threading.current_thread() is threading.main_thread():
            handled = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self.previous = {number: signal.signal(number, self._handle) for number in handled}

    def restore(self) -> None:
        """Reinstall the previous handlers."""
        _set_handlers(self.previous)
        self.previous = {}

    def _handle(self, number: int, frame: Any) -> None:
        if self.number is None:
            self.number, self.received_at = number, time.monotonic()
            if self.forward is not None:
                self.forward(number)
        elif time.monotonic() - self.received_at > REPEAT_SECONDS:
            self.restore()
            signal.raise_signal(number)


def install_exit_handlers() -> dict[int, Any]:
    """Let signals that have no handler raise `SystemExit` with the shell's exit status, 128 + number.

    The exception deletes partly written files and finishes the loggers. Repetitions of a signal are ignored.

    Returns:
        The previous handlers by signal.
    """
    exited_at = -math.inf

    def handle(number: int, frame: Any) -> None:
        nonlocal exited_at
        if time.monotonic() - exited_at <= REPEAT_SECONDS:
            return
        exited_at = time.monotonic()
        if getattr(rank_zero_only, "rank", None) in (None, 0):
            print(f"Stopped by {signal.Signals(number).name}.", file=sys.stderr)
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        return {}
    unhandled = [n for n in SIGNALS if signal.getsignal(n) in (signal.SIG_DFL, signal.default_int_handler)]
    return {number: signal.signal(number, handle) for number in unhandled}


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Call `install_exit_handlers`, and reinstall the previous handlers at the end of the block."""
    previous = install_exit_handlers()
    try:
        yield
    finally:
        _set_handlers(previous)


def reraise_signal(number: int, is_global_zero: bool) -> None:
    """Raise a recorded signal again after the run has saved its state.

    Only rank 0 raises it. Other ranks exit with status 0, because launchers treat another failure as a crash and kill
    the processes that are still saving.
    """
    if not is_global_zero:
        raise SystemExit(0)
    signal.raise_signal(number)
    raise SystemExit(128 + number)  # a handler has returned, but the training is not finished


def ignore_signals_in_worker(worker_id: int = 0) -> None:
    """Ignore signals in a data loading process, because its parent still needs it to finish the last step.

    Ctrl-C and the signals of clusters reach the workers, too. SIGTERM may come from the parent at its end, so it ends
    the worker after `LAST_STEP_SECONDS`. Pass this function as `worker_init_fn` of a DataLoader.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(LAST_STEP_SECONDS))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Deliver the signals that arrive during the block at its end. Processes started in the block inherit the mask.

    The mask alone is not enough: it covers one thread, but Python handles signals that any thread receives.
    """
    received: list[int] = []
    previous = {}
    if threading.current_thread() is threading.main_thread():
        handled = [number for number in SIGNALS if callable(signal.getsignal(number))]
        previous = {number: signal.signal(number, lambda number, frame: received.append(number)) for number in handled}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _set_handlers(previous)
        for number in received[:1]:
            signal.raise_signal(number)


def _set_handlers(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)

"""The signals that ask a run to stop: Ctrl-C, `kill`, a terminal that closes, and what clusters send before an end."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only  # Lightning's own, without Lightning's seconds

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]

SECONDS_OF_ONE_SIGNAL = 2.0
SECONDS_OF_A_LAST_STEP = 60


class StopRequest:
    """From `listen` to `ignore`, the first signal is only noted in `number`; a later one acts as it did before.

    Launchers send their processes what the terminal has sent them already: that is no second signal.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.noted_at = 0.0
        self.before: dict[int, Any] = {}
        self.pass_on: Callable[[int], None] | None = None

    def listen(self, pass_on: Callable[[int], None] | None = None) -> None:
        """Python tells signals to its main thread only: elsewhere none is heard. `pass_on` is told the first, too."""
        self.pass_on, self.number = pass_on, None
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self.before = {number: signal.signal(number, self.note) for number in heard}

    def note(self, number: int, frame: Any) -> None:
        if self.number is None:
            self.number, self.noted_at = number, time.monotonic()
            if self.pass_on is not None:
                self.pass_on(number)
        elif time.monotonic() - self.noted_at > SECONDS_OF_ONE_SIGNAL:
            self.ignore()
            signal.raise_signal(number)

    def ignore(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}


def leave_on_signals() -> dict[int, Any]:
    """Where nobody else listens to a signal, let it raise SystemExit, with the status that shells know: 128 + number.

    By an exception, so that what is half written is cleaned up and the loggers are finished. What follows it at once is
    no second signal: launchers send on what the terminal has sent already. Returns the handlers that there were.
    """
    left_at = -math.inf

    def leave(number: int, frame: Any) -> None:
        nonlocal left_at
        if time.monotonic() - left_at <= SECONDS_OF_ONE_SIGNAL:
            return
        left_at = time.monotonic()
        if getattr(rank_zero_only, "rank", None) in (None, 0):
            print(f"Stopped by {signal.Signals(number).name}.", file=sys.stderr)
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        return {}
    free = [n for n in SIGNALS if signal.getsignal(n) in (signal.SIG_DFL, signal.default_int_handler)]
    return {number: signal.signal(number, leave) for number in free}


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let a signal to which nobody else listens end the block: see `leave_on_signals`."""
    before = leave_on_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reraise_signal(number: int, is_global_zero: bool) -> None:
    """Do at last what the signal asks for. One process tells the outside; a second failure would alarm launchers."""
    if not is_global_zero:
        raise SystemExit(0)
    signal.raise_signal(number)
    raise SystemExit(128 + number)  # whoever listens has let it pass, but the training is not finished


def leave_signals_to_the_parent(worker: int = 0) -> None:
    """For processes that read data: Ctrl-C and a cluster's signals reach them too, and their parent needs them yet.

    SIGTERM may be the parent's own, at its end: it is obeyed, but only after the time that a last step may take.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(SECONDS_OF_A_LAST_STEP))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Let signals act only when the block ends. Processes started in it are deaf to them until they say otherwise.

    A mask is inherited, but holds back one thread only, and Python acts on what any of them has got.
    """
    noted: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        heard = [number for number in SIGNALS if callable(signal.getsignal(number))]
        before = {number: signal.signal(number, lambda number, frame: noted.append(number)) for number in heard}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in noted[:1]:
            signal.raise_signal(number)

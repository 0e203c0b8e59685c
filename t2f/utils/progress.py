"""Notes, and the progress of long tasks: a bar in a terminal, lines of text elsewhere.

Outside of a terminal, a task prints a line after five seconds and then every ten seconds. While a nested task runs,
such as an evaluation during training, the outer task is shown as waiting. The bars of rich, which draw the terminal's,
print nothing into a file; those of tqdm and Lightning print each state of the bar into it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Self, TypeVar

# Lightning uses this object, too. Importing it from here avoids the seconds that importing Lightning takes.
from lightning_utilities.core.rank_zero import rank_zero_only
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID
from rich.progress import Task as Bar
from rich.text import Text

FIRST_LINE_SECONDS = 5.0
LINE_INTERVAL_SECONDS = 10.0
MIN_ESTIMATE_SECONDS = 3.0

Item = TypeVar("Item")


def parallel_job_number() -> int | None:
    """Return the number of this sweep job if it shares the terminal with parallel jobs, else None."""
    from hydra.core.hydra_config import HydraConfig  # slow import, which the processes that decode images do not need
    from hydra.types import RunMode

    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    hydra = HydraConfig.get()
    return None if hydra.launcher._target_.endswith(".BasicLauncher") else int(hydra.job.num)


def run_console(quiet: bool = False) -> Console:
    """Return the console for the details of a run. It is quiet in parallel jobs, which the sweep's report covers."""
    return Console(quiet=quiet or parallel_job_number() is not None)


def print_note(note: str) -> None:
    """Print a note to stderr, in the first process only."""
    if getattr(rank_zero_only, "rank", 0) == 0:  # Lightning sets the rank when it is imported
        console = Console(stderr=True)
        console.print(f"note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)


class Task:
    """A task with a progress bar or lines. Use it as a context manager, or call `start` and `end`.

    Args:
        title: Text before the progress.
        total: Number of parts, or None if it is unknown.
        quiet: Show nothing, as in processes of rank 1 and above.
        transient: Remove the bar from the terminal at the end.
    """

    def __init__(self, title: str, total: int | None = None, quiet: bool = False, transient: bool = True) -> None:
        self.title = title
        self.total = total
        self.transient = transient
        self.done = 0
        self.first_advance: tuple[float, int] | None = None
        self.job_number = parallel_job_number()
        self.console = Console(quiet=quiet, force_terminal=None if self.job_number is None else False)
        self.bar: TaskID | None = None
        self.ended = threading.Event()

    def start(self) -> Self:
        self.started = time.monotonic()
        DISPLAY.add(self)
        if not self.console.quiet and not self.console.is_terminal:
            threading.Thread(target=self._print_lines, daemon=True).start()
        return self

    def end(self) -> None:
        self.ended.set()
        DISPLAY.remove(self)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()

    def advance(self, count: int = 1) -> None:
        """Add `count` parts to those that are done."""
        self.done += count
        if self.first_advance is None:
            self.first_advance = (time.monotonic(), self.done)
        DISPLAY.update(self)

    def status(self) -> str:
        """Return the parts that are done and the remaining time."""
        elapsed = time.monotonic() - self.started
        if self.total is None:
            return f"{timedelta(seconds=round(elapsed))} so far"
        count = f"{self.done:,}/{self.total:,}"
        if self.first_advance is None or self.done == self.first_advance[1] or elapsed < MIN_ESTIMATE_SECONDS:
            return count
        # The first part is left out, because it includes one-time costs such as starting processes.
        seconds_per_part = (time.monotonic() - self.first_advance[0]) / (self.done - self.first_advance[1])
        return f"{count}  {timedelta(seconds=round(seconds_per_part * (self.total - self.done)))} left"

    def _print_lines(self) -> None:
        interval = FIRST_LINE_SECONDS
        while not self.ended.wait(interval):
            interval = LINE_INTERVAL_SECONDS
            if not DISPLAY.is_waiting(self):
                job = "" if self.job_number is None else f"[{self.job_number}] "
                self.console.print(f"{job}{self.title}  {self.status()}", markup=False, highlight=False, soft_wrap=True)


class TitleColumn(ProgressColumn):
    def render(self, task: Bar) -> Text:
        return Text(task.fields["task"].title)


class StatusColumn(ProgressColumn):
    def render(self, task: Bar) -> Text:
        ours = task.fields["task"]
        return Text("waits" if DISPLAY.is_waiting(ours) else ours.status(), style="cyan")


class Display:
    """The running tasks of this process, outermost first, and their bars if there is a terminal."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.bars: Progress | None = None

    def add(self, task: Task) -> None:
        if not self.tasks and task.console.is_terminal and not task.console.quiet:
            columns = (TitleColumn(), BarColumn(bar_width=None), StatusColumn())
            self.bars = Progress(*columns, console=task.console, expand=True, transient=task.transient)
            self.bars.start()
        self.tasks.append(task)
        if self.bars is not None and not task.console.quiet:
            task.bar = self.bars.add_task("", total=task.total, task=task)

    def update(self, task: Task) -> None:
        if self.bars is not None and task.bar is not None:
            self.bars.update(task.bar, completed=task.done)

    def is_waiting(self, task: Task) -> bool:
        """Whether a nested task is running."""
        return task in self.tasks and self.tasks[-1] is not task

    def remove(self, task: Task) -> None:
        if task not in self.tasks:
            return
        self.tasks.remove(task)
        if self.bars is None or task.bar is None:
            return
        if not self.tasks:
            self.bars.stop()
            self.bars = None
        else:
            self.bars.remove_task(task.bar)


DISPLAY = Display()


def track(items: Iterable[Item], title: str, total: int, step: int = 1, quiet: bool = False) -> Iterator[Item]:
    """Show progress while iterating.

    Args:
        items: Any iterable.
        title: Text before the progress.
        total: Number of parts.
        step: Parts in each item.
        quiet: Show nothing.

    Yields:
        The items.
    """
    with Task(title, total, quiet) as task:
        for item in items:
            yield item
            task.advance(min(step, total - task.done))

"""What takes more than a few seconds says what it does and how far it is.

In a terminal by a bar, else by a line after five seconds and one every ten from then on. What is done in the midst of
something else, as an evaluation in a training, is shown below it, which waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID
from rich.progress import Task as Bar
from rich.text import Text

FIRST_LINE, BETWEEN_LINES = 5.0, 10.0  # seconds
BEFORE_ESTIMATE = 3.0

Item = TypeVar("Item")


def number_of_job() -> int | None:
    """Of a sweep's job that a launcher runs beside others, with whom it shares the terminal; None of all else."""
    from hydra.core.hydra_config import HydraConfig  # here, for the processes that draw faces to start at once
    from hydra.types import RunMode

    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    hydra = HydraConfig.get()
    return None if hydra.launcher._target_.endswith(".BasicLauncher") else int(hydra.job.num)


def terminal(quiet: bool = False) -> Console:
    """For what a run tells of itself: a job beside others leaves it out, for the sweep's report has it."""
    return Console(quiet=quiet or number_of_job() is not None)


class Task:
    """Something under way, of `total` parts or of unknown length; its text says how far it is.

    It begins with `start` and ends with `end`, as by `with`. `quiet`: of the processes that do the same beside the
    first. `stays`: whether its bar stays in the terminal when it is done.
    """

    def __init__(self, title: str, total: int | None = None, quiet: bool = False, stays: bool = False) -> None:
        self.title = title
        self.total = total
        self.stays = stays
        self.done = 0
        self.first: tuple[float, int] | None = None
        self.job = number_of_job()
        self.console = Console(quiet=quiet, force_terminal=None if self.job is None else False)
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
        self.done += count
        if self.first is None:
            self.first = (time.monotonic(), self.done)
        DISPLAY.move(self)

    def how_far(self) -> str:
        elapsed = time.monotonic() - self.started
        if self.total is None:
            return f"{timedelta(seconds=round(elapsed))} so far"
        count = f"{self.done:,}/{self.total:,}"
        if self.first is None or self.done == self.first[1] or elapsed < BEFORE_ESTIMATE:
            return count
        # Counted from the first part on: what comes before it, such as the start of processes, comes once.
        seconds_each = (time.monotonic() - self.first[0]) / (self.done - self.first[1])
        return f"{count}  {timedelta(seconds=round(seconds_each * (self.total - self.done)))} left"

    def _print_lines(self) -> None:
        wait = FIRST_LINE
        while not self.ended.wait(wait):
            wait = BETWEEN_LINES
            if not DISPLAY.waits(self):
                job = "" if self.job is None else f"[{self.job}] "
                line = f"{job}{self.title}  {self.how_far()}"
                self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Title(ProgressColumn):
    def render(self, task: Bar) -> Text:
        return Text(task.fields["of"].title)


class HowFar(ProgressColumn):
    def render(self, task: Bar) -> Text:
        of = task.fields["of"]
        return Text("waits" if DISPLAY.waits(of) else of.how_far(), style="cyan")


class Display:
    """The tasks under way in this process, the outermost first, and in a terminal their bars."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.bars: Progress | None = None

    def add(self, task: Task) -> None:
        if not self.tasks and task.console.is_terminal and not task.console.quiet:
            columns = (Title(), BarColumn(bar_width=None), HowFar())
            self.bars = Progress(*columns, console=task.console, expand=True, transient=not task.stays)
            self.bars.start()
        self.tasks.append(task)
        if self.bars is not None and not task.console.quiet:
            task.bar = self.bars.add_task("", total=task.total, of=task)

    def move(self, task: Task) -> None:
        if self.bars is not None and task.bar is not None:
            self.bars.update(task.bar, completed=task.done)

    def waits(self, task: Task) -> bool:
        """Whether another one was begun in its midst."""
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


def followed(items: Iterable[Item], title: str, total: int, of_each: int = 1, quiet: bool = False) -> Iterator[Item]:
    """The items, with each of which `of_each` of the `total` are done when the next one is asked for."""
    with Task(title, total, quiet) as task:
        for item in items:
            yield item
            task.advance(min(of_each, total - task.done))

"""Picture files of any kind -> square uint8 images, in parallel."""

from __future__ import annotations

import io
import math
import multiprocessing
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from t2f.data.faces import Images, write_images
from t2f.data.images.formats import HEAD, foreign, read_head, register_plugins, unidentified
from t2f.data.images.rgb import refuse_preview, scale_transparency, to_rgb
from t2f.utils.errors import UserError
from t2f.utils.progress import Task
from t2f.utils.signals import deferred_signals, ignore_signals_in_worker

RULES = 2  # raise it with every change to the pixels that come out, so that old caches are left alone

Item = TypeVar("Item")
Result = TypeVar("Result")

Crop = float | Mapping[int, float]
"""The side of the central square as a share of the picture's width; or such shares for the widths at which
a data set was published, pictures of any other width being taken whole."""


class Pictures(Protocol):
    """The pictures of a data set, in the order in which they are decoded."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What to call a picture in a message."""

    def read(self, part: range) -> Sequence[str | bytes]:
        """Paths, or the content of files."""

    def identity(self) -> Any:
        """Something for JSON that changes when a picture does."""


def decode(picture: str | bytes, resolution: int, crop: Crop) -> Images:
    """The central square of a file (a path, or its content), uint8 (3, resolution, resolution).

    It is turned as its EXIF data say, and what is transparent becomes white. The square is never higher than the
    picture. Of several frames the first is taken. Raises what Pillow raises for a file that is no whole image, and
    `ValueError` for numbers that are no colors, and for the preview in a camera's RAW file.
    """
    register_plugins()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # given from half the size that is refused
        return _decode(io.BytesIO(picture) if isinstance(picture, bytes) else picture, resolution, crop)


def _decode(picture: str | io.BytesIO, resolution: int, crop: Crop) -> Images:
    with Image.open(picture) as file:
        refuse_preview(file)
        scale_transparency(file)
        share = crop.get(file.width, 1.0) if isinstance(crop, Mapping) else crop
        # A large JPEG is decoded at a half, quarter or eighth of its size, still twice as large as is needed.
        zoom = share * min(file.size) / (2 * resolution)
        if zoom > 1:
            file.draft(None, (math.ceil(file.width / zoom), math.ceil(file.height / zoom)))
        image = to_rgb(ImageOps.exif_transpose(file), file)
    width, height = image.size
    side = min(share * width, height)
    # The square is not rounded to whole pixels, so that it is the same at half the size; but pixels that are all
    # outside of it are cut off first, or the resizing would take some of their colour.
    left, top = round((width - side) / 2, 6), round((height - side) / 2, 6)
    x, y = math.floor(left), math.floor(top)
    image = image.crop((x, y, width - x, height - y))
    box = (left - x, top - y, image.width - (left - x), image.height - (top - y))
    square = image.resize((resolution, resolution), Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    return np.asarray(square).transpose(2, 0, 1)


def _decode_some(pictures: Sequence[str | bytes], resolution: int, crop: Crop) -> tuple[Images, dict[int, str]]:
    """The images of those that can be decoded, and the reasons of the others by their place."""
    images: list[Images] = []
    reasons: dict[int, str] = {}
    for place, picture in enumerate(pictures):
        try:
            images.append(decode(picture, resolution, crop))
        except Exception as error:  # what Pillow raises for broken files has no common class
            reasons[place] = _reason(error, picture)
    return np.array(images, np.uint8).reshape(-1, 3, resolution, resolution), reasons


def _reason(error: Exception, picture: str | bytes) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, the most that Pillow reads"
    head = _head(picture)
    if isinstance(error, UnidentifiedImageError):
        return unidentified(head)
    if what := foreign(head):  # as a video, which Pillow knows by name alone
        return f"it is {what}"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return text.strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _head(picture: str | bytes) -> bytes:
    """The first bytes of a file: none where it cannot be read."""
    try:
        return picture[:HEAD] if isinstance(picture, bytes) else read_head(picture)
    except (OSError, ValueError):  # ValueError: for a name that no file can have
        return b""


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """The results of the items in order, by `workers` processes: by this one if that is 1 or less.

    `items` is read only a little ahead, as what it gives may be large.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")  # forking a process that runs torch's threads can hang
    others = set(multiprocessing.active_children())
    with deferred_signals():  # a terminal that closes would end the process that all pools of this one share
        resource_tracker.ensure_running()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_work) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                with deferred_signals():
                    pending.append(pool.submit(work, item))
                if len(pending) > workers + 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise UserError(
                "A process that reads data ended too soon, for want of memory or, in a script of your own, of "
                "`if __name__ == '__main__':`: set data.workers=1."
            ) from error
        except BaseException:  # nobody waits for what is begun
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
            raise


def _begin_work() -> None:
    """In a process of the pool: leave signals to the parent, and end with it, however it ends."""
    ignore_signals_in_worker()
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def in_chunks(
    work: Callable[[Item], Result],
    read: Callable[[range], Item],
    total: int,
    workers: int,
    title: str,
    size: int = 32,
) -> Iterator[tuple[range, Result]]:
    """`work` on what `read` gives for chunks of 0...total, `size` long, in order; `title` tells of it."""
    chunks = [range(start, min(start + size, total)) for start in range(0, total, size)]
    results = in_parallel(work, map(read, chunks), min(workers, len(chunks)))
    with Task(title, total) as task:
        for chunk, result in zip(chunks, results, strict=True):
            yield chunk, result
            task.advance(len(chunk))


def decode_all(
    path: Path, pictures: Pictures, resolution: int, crop: Crop, on_error: str, workers: int
) -> dict[int, str]:
    """Write the decoded pictures to an `images.npy`, in order; return the reasons of those left out, by index.

    Raises `UserError` for a picture that cannot be decoded, unless `on_error` is "skip"; then if none can be.
    """
    bad: dict[int, str] = {}

    def decoded() -> Iterator[Images]:
        work = partial(_decode_some, resolution=resolution, crop=crop)
        title = f"Decoding {len(pictures):,} pictures"
        for chunk, (images, reasons) in in_chunks(work, pictures.read, len(pictures), workers, title):
            if reasons and on_error == "raise":
                place, reason = next(iter(reasons.items()))
                raise UserError(
                    f"{pictures.name(chunk[place])} cannot be decoded ({reason}): mend or remove it, "
                    "or leave such pictures out with data.on_error=skip."
                )
            bad.update({chunk[place]: reason for place, reason in reasons.items()})
            yield images

    if not write_images(path, resolution, decoded()):
        raise UserError(
            f"None of {len(pictures):,} pictures can be decoded; the first is {pictures.name(0)} ({bad[0]}): "
            "check the folder that data names."
        )
    return bad

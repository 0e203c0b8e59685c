"""Image files of any format to square uint8 images, in parallel."""

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
from t2f.data.images.formats import (
    HEADER_BYTES,
    explain_unidentified,
    identify_unsupported,
    read_header,
    register_plugins,
)
from t2f.data.images.rgb import refuse_preview, scale_transparency, to_rgb
from t2f.utils.errors import UserError
from t2f.utils.progress import Task
from t2f.utils.signals import deferred_signals, ignore_signals_in_worker

CACHE_VERSION = 2  # increase it whenever decoded pixels change, so that existing caches are not reused

Item = TypeVar("Item")
Result = TypeVar("Result")

Crop = float | Mapping[int, float]
"""Side of the central square as a fraction of the image width in (0, 1], or fractions by image width in pixels.

With a mapping, images of other widths are not cropped horizontally.
"""


class ImageSource(Protocol):
    """The encoded images of a data set, in the order of the cache."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Return a description of the image for messages."""

    def read(self, indices: range) -> Sequence[str | bytes]:
        """Return paths or file contents."""

    def identity(self) -> Any:
        """Return a JSON value that changes when an image changes."""


def decode(file: str | bytes, resolution: int, crop: Crop) -> Images:
    """Decode an image file, crop its central square and resize it.

    The EXIF orientation is applied. Transparency is composited onto white. The side of the square is at most the
    height of the image. The first frame of several is used.

    Args:
        file: a path or the content of a file.
        resolution: R in pixels.
        crop: side of the square as a fraction of the width.

    Returns:
        uint8 (3, R, R), sRGB.

    Raises:
        ValueError: if the values have an unknown range, or the file is a camera's RAW file with a preview.
        Exception: of many classes, raised by Pillow if the file is not a complete image.
    """
    register_plugins()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # issued at half the size that is refused
        return _decode(io.BytesIO(file) if isinstance(file, bytes) else file, resolution, crop)


def _decode(path: str | io.BytesIO, resolution: int, crop: Crop) -> Images:
    with Image.open(path) as file:
        refuse_preview(file)
        scale_transparency(file)
        fraction = crop.get(file.width, 1.0) if isinstance(crop, Mapping) else crop
        # Decode a large JPEG at 1/2, 1/4 or 1/8 of its size, which is still twice the size that is needed.
        zoom = fraction * min(file.size) / (2 * resolution)
        if zoom > 1:
            file.draft(None, (math.ceil(file.width / zoom), math.ceil(file.height / zoom)))
        image = to_rgb(ImageOps.exif_transpose(file), file)
    width, height = image.size
    side = min(fraction * width, height)
    # The box is not rounded to whole pixels, so that it covers the same part of the face at any size. Pixels that are
    # completely outside of it are cropped first; otherwise they would contribute to the resized image.
    left, top = round((width - side) / 2, 6), round((height - side) / 2, 6)
    x, y = math.floor(left), math.floor(top)
    image = image.crop((x, y, width - x, height - y))
    box = (left - x, top - y, image.width - (left - x), image.height - (top - y))
    square = image.resize((resolution, resolution), Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    return np.asarray(square).transpose(2, 0, 1)


def _decode_chunk(files: Sequence[str | bytes], resolution: int, crop: Crop) -> tuple[Images, dict[int, str]]:
    """Return the images that can be decoded, and the errors of the others by their index in `files`."""
    images: list[Images] = []
    errors: dict[int, str] = {}
    for index, file in enumerate(files):
        try:
            images.append(decode(file, resolution, crop))
        except Exception as error:  # Pillow's errors have no common class
            errors[index] = _explain(error, file)
    return np.array(images, np.uint8).reshape(-1, 3, resolution, resolution), errors


def _explain(error: Exception, file: str | bytes) -> str:
    """Explain in one clause why a file cannot be decoded."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, the limit of Pillow"
    header = _header(file)
    if isinstance(error, UnidentifiedImageError):
        return explain_unidentified(header)
    if description := identify_unsupported(header):  # e.g. a video, which Pillow identifies but cannot read
        return f"it is {description}"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return text.strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _header(file: str | bytes) -> bytes:
    try:
        return file[:HEADER_BYTES] if isinstance(file, bytes) else read_header(file)
    except (OSError, ValueError):  # ValueError: the name is not a valid file name
        return b""


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Apply a function to items in a process pool, and yield the results in order.

    Unlike `Executor.map`, this reads only `workers + 2` items ahead, because items may be large. With one worker, the
    function runs in this process.

    Raises:
        UserError: if a process of the pool dies.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")  # forking a process with PyTorch's threads can deadlock
    other_children = set(multiprocessing.active_children())
    with deferred_signals():  # the resource tracker inherits blocked signals, so SIGHUP does not end it
        resource_tracker.ensure_running()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_initialize_worker) as pool:
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
                "A process that reads data died, because memory is short or, in your own script, because "
                "`if __name__ == '__main__':` is missing: set data.workers=1."
            ) from error
        except BaseException:  # do not wait for running tasks
            for process in set(multiprocessing.active_children()) - other_children:
                process.kill()
            raise


def _initialize_worker() -> None:
    ignore_signals_in_worker()
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Exit when the parent process ends, even if it was killed."""
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
    """Process the indices 0...total - 1 in chunks of `size`, in parallel and with a progress bar.

    `read` is called in this process with the indices of each chunk, and `work`, which is pickled, with its result.

    Yields:
        The indices and the result of each chunk, in order.
    """
    chunks = [range(start, min(start + size, total)) for start in range(0, total, size)]
    results = parallel_map(work, map(read, chunks), min(workers, len(chunks)))
    with Task(title, total) as task:
        for chunk, result in zip(chunks, results, strict=True):
            yield chunk, result
            task.advance(len(chunk))


def decode_all(
    path: Path, images: ImageSource, resolution: int, crop: Crop, on_error: str, workers: int
) -> dict[int, str]:
    """Decode images into an `images.npy`, in order; see `ImageDataset` for the settings.

    Returns:
        The reasons of omitted images by their index.

    Raises:
        UserError: if an image cannot be decoded and `on_error` is "raise", or if no image can be decoded.
    """
    skipped: dict[int, str] = {}

    def decoded() -> Iterator[Images]:
        work = partial(_decode_chunk, resolution=resolution, crop=crop)
        title = f"Decoding {len(images):,} images"
        for chunk, (decoded_images, errors) in in_chunks(work, images.read, len(images), workers, title):
            if errors and on_error == "raise":
                index, reason = next(iter(errors.items()))
                raise UserError(
                    f"{images.name(chunk[index])} cannot be decoded ({reason}): repair or remove it, "
                    "or skip such images with data.on_error=skip."
                )
            skipped.update({chunk[index]: reason for index, reason in errors.items()})
            yield decoded_images

    if not write_images(path, resolution, decoded()):
        raise UserError(
            f"None of {len(images):,} images can be decoded; the first is {images.name(0)} ({skipped[0]}): "
            "check the folder in the settings of data."
        )
    return skipped

"""Finds the image files of a folder by the names in a table, which may be spelled differently."""

from __future__ import annotations

import difflib
import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

from t2f.data.images.formats import IMAGE_EXTENSIONS
from t2f.utils.errors import UserError

MAX_COMPARED = 20_000  # files among which a similar name is searched

Parts = tuple[str, ...]
"""The normalized components of a path."""


def is_inside(name: str) -> bool:
    """Whether a file name is a relative path that stays inside of its folder."""
    return bool(name) and not Path(name).is_absolute() and ".." not in _slashes(name).split("/")


def files_below(folder: Path) -> list[str]:
    """Return the sorted relative paths of all files below a folder, without hidden ones. Links are followed once."""

    def refuse(error: OSError) -> None:
        raise error

    seen: set[str] = set()
    found = []
    for path, folders, files in os.walk(folder, followlinks=True, onerror=refuse) if folder.is_dir() else ():
        real = os.path.realpath(path)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX")
        below = os.path.relpath(path, folder)
        found += [os.path.normpath(os.path.join(below, name)) for name in sorted(files) if name[0] != "."]
    return found


class FileIndex:
    """The image files of a folder, for lookups by name.

    If no file has the exact name, a name matches a file that differs in slashes, Unicode form, case or percent-encoding
    only; else one with another or no ending, or with missing or additional parent folders. Absolute paths of another
    machine are matched by their end. Only files of the folder are found, and only if the best match is unique.

    Args:
        folder: The folder.
        files: Relative paths of all files; None: search the folder.
    """

    def __init__(self, folder: Path, files: Iterable[str] | None = None) -> None:
        self.folder = folder
        self.given = files

    @cached_property
    def files(self) -> list[str]:
        return files_below(self.folder) if self.given is None else list(self.given)

    @cached_property
    def _set(self) -> set[str]:
        return set(self.files)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for file in self.files:
            if file.lower().endswith(IMAGE_EXTENSIONS):
                found[_stem(_parts(file)[-1])].append(file)
        return found

    def resolve(self, names: Sequence[tuple[str, str]], part: str = "", apart: bool = False) -> list[str | None]:
        """Find the file of each name.

        Args:
            names: (location, name) of each image. The location is for messages.
            part: Subfolder that the names are relative to.
            apart: Whether the images may be in other folders than the names say.

        Returns:
            The relative path of each file below the folder; None for a missing file.

        Raises:
            UserError: A name leaves the folder or matches several files.
        """
        found: dict[str, str | None] = {}
        for location, name in names:
            if name not in found:
                self._check(location, name, part)
                found[name] = self._find_equal(location, name, part)
        owners = {file: _parts(name) for name, file in found.items() if file}
        for location, name in names:
            file = found[name] or self._find_similar(location, name, part, apart)
            if file and owners.setdefault(file, _parts(name)) == _parts(name):  # else the file belongs to another name
                found[name] = file
        absolute = [(location, name) for location, name in names if _is_absolute(name)]
        if absolute and not any(found[name] for _, name in absolute):  # else they are paths of another machine
            self._raise_outside(*absolute[0], part)
        return [found[name] for _, name in names]

    def hint(self, name: str) -> str:
        """Return a clause that suggests the file with the most similar name, or an empty string."""
        wanted = _parts(name)[-1] if _parts(name) else ""
        others = self._by_stem.get(_stem(wanted), [])
        if not others and _stem(wanted).isdigit():
            others = [self._by_stem[stem][0] for stem in self._by_stem if stem.lstrip("0") == _stem(wanted).lstrip("0")]
        if not others and len(self.files) <= MAX_COMPARED:
            by_name = {_parts(file)[-1]: file for file in self.files if file.lower().endswith(IMAGE_EXTENSIONS)}
            others = [by_name[match] for match in difflib.get_close_matches(wanted, by_name, n=1, cutoff=0.7)]
        return f" (did you mean {others[0]}?)" if others else ""

    def _check(self, location: str, name: str, part: str) -> None:
        """Raise `UserError` if a name leaves the folder."""
        if ".." in _slashes(name).split("/") or (_is_absolute(name) and os.path.exists(name) and not self._below(name)):
            self._raise_outside(location, name, part)

    def _raise_outside(self, location: str, name: str, part: str) -> None:
        raise UserError(
            f"{location} names {name}, which is outside of the folder {self.folder / part}: move the image into it."
        )

    def _below(self, name: str) -> str | None:
        """Return the relative path of an absolute path below the folder, or None."""
        path = Path(os.path.abspath(name))
        folders = (Path(os.path.abspath(self.folder)), self.folder.resolve())
        return next((path.relative_to(each).as_posix() for each in folders if path.is_relative_to(each)), None)

    def _find_equal(self, location: str, name: str, part: str) -> str | None:
        """Find the file with the same name, or else the one whose name is equal after normalization."""
        spelled = self._below(name) if _is_absolute(name) else posixpath.normpath(posixpath.join(part, _slashes(name)))
        if spelled is None or spelled in self._set:
            return spelled
        wanted = _parts(spelled)
        return self._unique(location, name, [file for file in self._same_stem(name) if _parts(file) == wanted])

    def _find_similar(self, location: str, name: str, part: str, apart: bool) -> str | None:
        """Find the file that differs in its parent folders or its ending."""
        own, whole, start = _parts(name), _parts(f"{part}/{name}"), _parts(part)
        any_folder = apart or _is_absolute(name)
        ranked: dict[tuple[bool, int], list[str]] = defaultdict(list)
        for file in self._same_stem(name):
            parts = _parts(file)
            shared = _shared(whole, parts)
            has_additional = shared == len(parts)  # folders in the name
            lacks_folders = _shared(own, parts) == len(own) and parts[: len(start)] == start
            if has_additional or lacks_folders or (any_folder and parts[: len(start)] == start):
                ranked[parts[-1] == own[-1], shared].append(file)
        return self._unique(location, name, ranked[max(ranked)]) if ranked else None

    def _same_stem(self, name: str) -> list[str]:
        """Return the files with the same stem, in any folder and with any ending."""
        own = _parts(name)
        return self._by_stem.get(_stem(own[-1]), []) if own else []

    def _unique(self, location: str, name: str, files: list[str]) -> str | None:
        if len(files) > 1:
            raise UserError(
                f"{location} names {name}, which may be {' or '.join(files[:3])} of {self.folder}: write the full name."
            )
        return files[0] if files else None


def first_few(items: Iterable[str]) -> str:
    """Join the first three items, followed by ... if there are more."""
    first = list(islice(items, 4))
    return ", ".join([*first[:3], *(["..."] if len(first) > 3 else [])])


def _is_absolute(name: str) -> bool:
    return _slashes(name).startswith("/") or re.match(r"[A-Za-z]:|file:", name.strip()) is not None


def _slashes(name: str) -> str:
    """Return a name with forward slashes, without surrounding blanks and quotes."""
    return name.strip().strip("\"'").replace("\\", "/")


def _parts(name: str) -> Parts:
    """Split a name into normalized components for comparison."""
    spelled = unquote(_slashes(name)) if "%" in name else _slashes(name)  # %20 in a URL is a blank
    spelled = unicodedata.normalize("NFC", unicodedata.normalize("NFC", spelled).casefold())
    return tuple(part for part in spelled.split("/") if part not in ("", "."))


def _stem(name: str) -> str:
    """Remove the ending of an image file."""
    ending = next((ending for ending in IMAGE_EXTENSIONS if name.endswith(ending)), "")
    return name.removesuffix(ending)


def _shared(one: Parts, two: Parts) -> int:
    """Count the components that two paths share at their end, ignoring the file ending."""
    count = 0
    for left, right in zip(reversed(one), reversed(two), strict=False):
        if left != right and (count or _stem(left) != _stem(right)):
            break
        count += 1
    return count

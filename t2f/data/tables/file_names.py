"""Pictures of a folder, found by the names that tables give them, also where those are spelled otherwise."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

from t2f.data.images.formats import IMAGE_EXTENSIONS
from t2f.utils.errors import UserError

MOST_COMPARED = 20_000  # names of files are compared one by one to find one alike

Parts = tuple[str, ...]


def inside(name: str) -> bool:
    """Whether a picture's name stays in its folder."""
    return bool(name) and not Path(name).is_absolute() and ".." not in _slashes(name).split("/")


def files_below(folder: Path) -> list[str]:
    """The names of all files below a folder that are not hidden, in order; links to folders are followed once."""
    seen: set[str] = set()
    found = []
    for path, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name[0] != "." and name != "__MACOSX")
        below = os.path.relpath(path, folder)
        found += [os.path.normpath(os.path.join(below, name)) for name in sorted(files) if name[0] != "."]
    return found


class Names:
    """The files of a folder, by their names below it.

    A name that no file has is read with either slash, in any Unicode form and any case, and with the %-codes of an
    address; then with another ending or none, and with folders before it that are too many or too few. Of an absolute
    path of another machine the end counts. Only a file of this folder is ever found, and only if no other one is as
    near.
    """

    def __init__(self, folder: Path, files: Iterable[str] | None = None, skip: bool = False) -> None:
        """`files`: all there are, where that is known. `skip`: names that no file can have are as any missing one."""
        self.folder = folder
        self.given = files
        self.skip = skip

    @cached_property
    def files(self) -> list[str]:
        return files_below(self.folder) if self.given is None else list(self.given)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for file in self.files:
            if file.lower().endswith(IMAGE_EXTENSIONS):
                found[_stem(_parts(file)[-1])].append(file)
        return found

    def resolve(self, names: Sequence[tuple[str, str]], part: str = "", apart: bool = False) -> list[str | None]:
        """The file of each (where it is named, name), named from the folder on; None where there is none.

        The names are relative to `part` of the folder. `apart`: their own folders do not count.

        Raises `UserError` for a name that leaves the folder, and for one that may be any of several files.
        """
        found: dict[str, str | None] = {}
        for where, name in names:
            if name not in found:
                self._check(where, name, part)
                found[name] = self._same(where, name, part)
        owners = {file: _parts(name) for name, file in found.items() if file}
        for where, name in names:
            file = found[name] or self._like(where, name, part, apart)
            if file and owners.setdefault(file, _parts(name)) == _parts(name):  # else it is another name's
                found[name] = file
        if not any(file and _is_absolute(name) for name, file in found.items()):  # else the folder was elsewhere once
            for where, name in names:
                if _is_absolute(name):
                    self._leaves(where, name, part)
        return [found[name] for _, name in names]

    def near(self, name: str) -> str:
        """A clause that points to the file whose name is most like this one, or nothing."""
        wanted = _parts(name)[-1] if _parts(name) else ""
        others = self._by_stem.get(_stem(wanted), [])
        if not others and _stem(wanted).isdigit():
            others = [self._by_stem[stem][0] for stem in self._by_stem if stem.lstrip("0") == _stem(wanted).lstrip("0")]
        if not others and len(self.files) <= MOST_COMPARED:
            by_name = {_parts(file)[-1]: file for file in self.files if file.lower().endswith(IMAGE_EXTENSIONS)}
            others = [by_name[match] for match in difflib.get_close_matches(wanted, by_name, n=1, cutoff=0.7)]
        return f" (did you mean {others[0]}?)" if others else ""

    def _check(self, where: str, name: str, part: str) -> None:
        """Raise for a name that leaves the folder."""
        if ".." in _slashes(name).split("/") or (_is_absolute(name) and os.path.exists(name) and not self._below(name)):
            self._leaves(where, name, part)

    def _leaves(self, where: str, name: str, part: str) -> None:
        raise UserError(
            f"{where} names {name}, which leaves the folder {self.folder / part}: move the picture into it."
        )

    def _below(self, name: str) -> str | None:
        """An absolute path of this machine, from the folder on."""
        path = Path(os.path.abspath(name))
        return next(
            (path.relative_to(folder).as_posix() for folder in self._roots if path.is_relative_to(folder)), None
        )

    @cached_property
    def _roots(self) -> list[Path]:
        return [Path(os.path.abspath(self.folder)), self.folder.resolve()]

    def _same(self, where: str, name: str, part: str) -> str | None:
        """The file of this very name, or of one that differs in slashes, Unicode form, case and %-codes alone."""
        if _is_absolute(name):
            return self._below(name) if self._is_file(Path(name)) else None
        spelled = _slashes(name)
        for form in (name, spelled, unicodedata.normalize("NFC", spelled), unicodedata.normalize("NFD", spelled)):
            if inside(form) and self._is_file(self.folder / part / form):
                return (Path(part) / form).as_posix()
        wanted = _parts(f"{part}/{name}")
        return self._one(where, name, [file for file in self._alike(name) if _parts(file) == wanted])

    def _is_file(self, path: Path) -> bool:
        try:
            return path.is_file()
        except OSError:
            if not self.skip:
                raise
            return False

    def _like(self, where: str, name: str, part: str, apart: bool) -> str | None:
        """The file whose folders or ending are others."""
        own, whole, start = _parts(name), _parts(f"{part}/{name}"), _parts(part)
        free = apart or _is_absolute(name)
        ranked: dict[tuple[bool, int], list[str]] = defaultdict(list)
        for file in self._alike(name):
            parts = _parts(file)
            shared = _shared(whole, parts)
            too_many = shared == len(parts)  # of the name's folders
            too_few = _shared(own, parts) == len(own) and parts[: len(start)] == start
            if too_many or too_few or (free and parts[: len(start)] == start):
                ranked[parts[-1] == own[-1], shared].append(file)
        return self._one(where, name, ranked[max(ranked)]) if ranked else None

    def _alike(self, name: str) -> list[str]:
        """The files of this name, whatever their folders and ending."""
        own = _parts(name)
        return self._by_stem.get(_stem(own[-1]), []) if own else []

    def _one(self, where: str, name: str, files: list[str]) -> str | None:
        if len(files) > 1:
            raise UserError(
                f"{where} names {name}, which may be {' or '.join(files[:3])} of {self.folder}: write which."
            )
        return files[0] if files else None


def _is_absolute(name: str) -> bool:
    return _slashes(name).startswith("/") or re.match(r"[A-Za-z]:|file:", name.strip()) is not None


def _slashes(name: str) -> str:
    """The name with slashes as here, without blanks and quotes around it."""
    return name.strip().strip("\"'").replace("\\", "/")


def _parts(name: str) -> Parts:
    """A name to compare: its parts in one Unicode form, without case."""
    spelled = unquote(_slashes(name)) if "%" in name else _slashes(name)  # %20 of an address is a blank
    spelled = unicodedata.normalize("NFC", unicodedata.normalize("NFC", spelled).casefold())
    return tuple(part for part in spelled.split("/") if part not in ("", "."))


def _stem(name: str) -> str:
    """A file's name without an ending of pictures."""
    ending = next((ending for ending in IMAGE_EXTENSIONS if name.endswith(ending)), "")
    return name.removesuffix(ending)


def _shared(one: Parts, two: Parts) -> int:
    """How many parts the ends have in common, whatever the ending of the last."""
    count = 0
    for left, right in zip(reversed(one), reversed(two), strict=False):
        if left != right and (count or _stem(left) != _stem(right)):
            break
        count += 1
    return count

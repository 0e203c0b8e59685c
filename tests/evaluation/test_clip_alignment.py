import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from t2f.cli.evaluate import compose_evaluation
from t2f.conditioning import frozen_encoder
from t2f.conditioning.base import PromptSet
from t2f.data.faces import Faces
from t2f.evaluation import clip_alignment
from t2f.evaluation.clip_alignment import ClipAlignment
from t2f.evaluation.text_alignment import EvaluationBatch
from t2f.utils.errors import UserError

DESCRIPTIONS = ["a smiling woman", "a bald man", "a man, " + "very " * 50 + "old"]


def write_clip(folder: Path) -> tuple[CLIPModel, CLIPProcessor]:
    """Write a random CLIP with 12 dimensions, letters as tokens, 24 positions and images of 16 pixels."""
    letters = "abcdefghijklmnopqrstuvwxyz,"
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = CLIPTokenizer(vocab={token: index for index, token in enumerate(tokens)}, merges=[])
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"vocab_size": len(tokens), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPConfig(
        text_config={**sizes, **ids, "max_position_embeddings": 24},
        vision_config={**sizes, "image_size": 16, "patch_size": 4},
        projection_dim=12,
    )
    torch.manual_seed(3)
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(8)  # with the initial weights, all images have similar embeddings
    processor = CLIPProcessor(CLIPImageProcessor(size=16, crop_size=16), tokenizer)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


class Source:
    name = "noise"
    mirror = False
    rng = np.random.default_rng(0)
    train = held_out = Faces(rng.integers(0, 256, (4, 3, 16, 16), dtype=np.uint8), [[]] * 4, np.zeros((4, 0)), [])

    def prepare(self) -> None: ...


@pytest.fixture
def batch(tmp_path: Path) -> EvaluationBatch:
    generated = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8))
    prompt_set = PromptSet(DESCRIPTIONS, np.array([2, 0, 3]), torch.zeros(3, 0))
    return EvaluationBatch(prompt_set, generated, Source(), None, 0, tmp_path, torch.device("cpu"))  # type: ignore[arg-type]  # stand-ins


def test_equals_the_definition(batch: EvaluationBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = write_clip(tmp_path / "clip")

    all_cosines: list[float] = []

    def expected(images: torch.Tensor, descriptions: list[str]) -> float:
        cosines = []
        for image, text in zip(images, descriptions, strict=True):
            pixels = processor(images=[image], return_tensors="pt")
            tokens = processor(text=[text], return_tensors="pt", truncation=True, max_length=24)
            with torch.no_grad():
                image_embedding = model.get_image_features(**pixels).pooler_output[0].double()
                text_embedding = model.get_text_features(**tokens).pooler_output[0].double()
            cosines.append(F.cosine_similarity(image_embedding, text_embedding, dim=0).item())
        all_cosines.extend(cosines)
        return 100 * float(np.mean(np.maximum(cosines, 0)))

    alignment = ClipAlignment(str(tmp_path / "clip"))
    (metric,) = alignment(batch).metrics
    shuffled = [DESCRIPTIONS[index] for index in batch.shuffled]
    assert metric.generated == pytest.approx(expected(batch.generated, DESCRIPTIONS), abs=1e-4)
    assert metric.shuffled == pytest.approx(expected(batch.generated, shuffled), abs=1e-4)
    assert metric.real == pytest.approx(expected(batch.described, DESCRIPTIONS), abs=1e-4)
    assert min(all_cosines) < 0 < max(all_cosines)  # so negative values are clipped

    monkeypatch.setattr(clip_alignment, "load_encoder", None)  # the model is loaded once
    assert alignment(batch).metrics == [metric]


def test_text_only_model_raises_an_error(batch: EvaluationBatch) -> None:
    with pytest.raises(
        UserError, match=r"does not encode images: set evaluation\.text_alignment\.clip_score\.name to a CLIP"
    ):
        ClipAlignment(frozen_encoder.PACKAGED)(batch)


def test_missing_weights_raise_an_error(batch: EvaluationBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_encoder, "_hub_is_reachable", lambda: False)
    alignment = instantiate(compose_evaluation(["evaluation=clip_score"]).evaluation.text_alignment.clip_score)
    with pytest.raises(
        UserError,
        match=r"clip-vit-base-patch16 is not a folder, and loading it .* failed .*clip_score\.name to a Hub name",
    ):
        alignment(batch)


def test_missing_library_raises_an_error(batch: EvaluationBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sentence_transformers":
            raise ModuleNotFoundError(f"No module named '{name}'")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install -e '\.\[text\]'"):
        ClipAlignment("someone/clip")(batch)

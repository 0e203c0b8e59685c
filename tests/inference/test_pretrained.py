"""The model that comes with t2f."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

import t2f
from t2f import load
from t2f.inference.pipeline import Pipeline
from t2f.utils.images import to_uint8

FOLDER = Path(t2f.__file__).parent / "inference" / "pretrained"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return load()


def faces(pipeline: Pipeline, words: str, count: int = 24) -> Tensor:
    """Drawn by the same noise each time: float (count, 3, r, r), 0 to 255."""
    return to_uint8(pipeline.draw([words] * count, pipeline.noise(count, seed=0))).float()


def part(images: Tensor, rows: tuple[float, float], columns: tuple[float, float]) -> Tensor:
    """Mean colours (count, 3) of a part of the pictures, told as shares of the height and width."""
    size = images.shape[-1]
    (top, bottom), (left, right) = ([round(share * size) for share in shares] for shares in (rows, columns))
    return images[:, :, top:bottom, left:right].mean(dim=(2, 3))


def test_it_is_a_small_folder_that_tells_what_it_is() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {"README.md", "config.json", "model.safetensors", "report.json"}
    assert (FOLDER / "model.safetensors").stat().st_size < 5e6
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for word in ("DiceBear", "not for", "bias"):
        assert word.lower() in card.lower()


def test_it_draws_64_pixels_and_no_two_alike(pipeline: Pipeline) -> None:
    drawn = faces(pipeline, "a smiling woman")
    assert drawn.shape == (24, 3, 64, 64)
    distances = torch.cdist(drawn.flatten(1), drawn.flatten(1)) + 1e9 * torch.eye(24)
    assert distances.min() / (3 * 64 * 64) ** 0.5 > 8  # of 255 levels, root mean square, and the nearest pair


@pytest.mark.parametrize("who", ["man", "bald woman"])
def test_complexion_is_what_the_words_say(pipeline: Pipeline, who: str) -> None:
    pale, dark = faces(pipeline, f"a pale {who}"), faces(pipeline, f"a dark-skinned {who}")
    face = (0.45, 0.7), (0.35, 0.65)
    assert ((part(pale, *face) - part(dark, *face)).mean(dim=0) > 40).all()


@pytest.mark.parametrize(
    "words", ["a bald man with a red beard and sunglasses", "a bald man with a beard", "a woman with a hat"]
)
def test_a_description_needs_no_full_stop(pipeline: Pipeline, words: str) -> None:
    assert torch.equal(faces(pipeline, words), faces(pipeline, f"{words}."))


def test_its_report_is_of_its_weights(pipeline: Pipeline) -> None:
    report = json.loads((FOLDER / "report.json").read_text(encoding="utf-8"))
    assert report["images_seen"] == pipeline.images_seen
    figures = {row["name"]: row for row in report["table"]}
    assert figures["attribute_accuracy"]["drawn"] >= 0.95 * figures["attribute_accuracy"]["real"]


@pytest.mark.parametrize(
    ("words", "meaning", "opposite"),
    [
        ("a person who is not wearing a hat", "a person without a hat", "a person with a hat"),
        ("a man not wearing a hat", "a man without a hat", "a man with a hat"),
        ("a woman with a hat", "a person with a hat", "a woman without a hat"),
        ("a man not wearing glasses", "a man without glasses", "a man with glasses"),
        ("a man with no hair", "a bald man", "a man with black hair"),
        ("a man with a moustache", "a man with a mustache", "a man with no mustache"),
        ("dark haired boy", "a man with black hair", "a dark-skinned woman with long hair"),
        ("a woman with fair hair", "a woman with blond hair", "a pale woman with black hair"),
        ("a man with white hair", "a man with gray hair", "a pale man with black hair"),
        ("a man who never smiles", "a serious man", "a smiling man"),
        ("men with beards", "a man with a beard", "a clean-shaven man"),
        ("bearded", "a man with a beard", "a clean-shaven man"),
        ("a grinning lady", "a smiling woman", "a serious woman"),
        ("a woman with brown eyes", "a woman", "a woman with brown hair"),
        ("her hair is short and black", "a woman with short black hair", "a woman with long red hair"),
        ("bald man, beard, sunglasses", "a bald man with a beard and sunglasses", "a man with hair and glasses"),
    ],
)
def test_other_words_mean_the_same(pipeline: Pipeline, words: str, meaning: str, opposite: str) -> None:
    """The mean face of some words is nearer to that of their meaning than to that of its opposite, by far."""
    face, same, other = (faces(pipeline, each, 48).mean(dim=0) for each in (words, meaning, opposite))
    assert (face - same).norm() < 0.5 * (face - other).norm()


@pytest.mark.parametrize(
    "words",
    [
        *("a girl", "a boy", "a guy", "a lady", "a man smiles", "a brunette", "a grey-haired man", "a bearded man"),
        *("men with beards", "a woman with fair hair", "isn't smiling", "specs", "draw me a redhead, please"),
    ],
)
def test_what_people_type_is_understood_without_a_note(pipeline: Pipeline, words: str) -> None:
    assert pipeline.conditioner.notes(words) == []


@pytest.mark.parametrize(
    "word", ["old", "young", "elderly", "teenage", "earrings", "lipstick", "blue eyes", "handsome"]
)
def test_what_its_drawings_cannot_show_is_told_so(pipeline: Pipeline, word: str) -> None:
    (note,) = pipeline.conditioner.notes(f"a woman with {word}")
    assert "training data say nothing of it" in note
    assert "ignored" not in note


def test_a_man_has_hair_unless_he_is_bald(pipeline: Pipeline) -> None:
    """Of hair that is not spoken of, it once drew what shows none."""
    top = (0.05, 0.2), (0.4, 0.6)
    man, bald = (part(faces(pipeline, words), *top) for words in ("a man", "a bald man"))
    assert (man - bald).abs().mean() > 15


def test_hair_has_the_colour_that_the_words_say(pipeline: Pipeline) -> None:
    top = (0.05, 0.3), (0.35, 0.65)
    red, black, blond = (
        part(faces(pipeline, f"a woman with long {color} hair"), *top).mean(dim=0)
        for color in ("red", "black", "blond")
    )
    assert red[0] - red[2] > 60 > black[0] - black[2]  # more red than blue
    assert blond[1] - red[1] > 40  # and blond has green too
    assert black.max() < red[0] - 40

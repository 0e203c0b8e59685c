"""The pretrained model."""

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


def generate(pipeline: Pipeline, description: str, count: int = 24) -> Tensor:
    """Generate images with the same noise in every call: float (count, 3, r, r), [0, 255]."""
    return to_uint8(pipeline.generate_from_text([description] * count, pipeline.noise(count, seed=0))).float()


def mean_color(images: Tensor, rows: tuple[float, float], columns: tuple[float, float]) -> Tensor:
    """Return the mean color (count, 3) of a region, given as fractions of the height and the width."""
    size = images.shape[-1]
    (top, bottom), (left, right) = ([round(fraction * size) for fraction in bounds] for bounds in (rows, columns))
    return images[:, :, top:bottom, left:right].mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pretrained", ("DiceBear", "out-of-scope", "bias")),
        ("photos", ("non-commercial research", "out-of-scope", "bias")),
    ],
)
def test_the_folder_is_small_and_has_a_model_card(name: str, words: tuple[str, ...]) -> None:
    folder = FOLDER.parent / name
    assert {file.name for file in folder.iterdir()} == {"README.md", "config.json", "model.safetensors", "report.json"}
    assert (folder / "model.safetensors").stat().st_size < 5e6
    card = (folder / "README.md").read_text(encoding="utf-8")
    for word in words:
        assert word.lower() in card.lower()


def test_photographs_follow_the_color_of_hair() -> None:
    photos = load("photos")
    blond, black = (generate(photos, f"a smiling young woman with {color} hair") for color in ("blond", "black"))
    assert blond.shape == (24, 3, 64, 64)
    sides = (0.2, 0.6), (0.0, 0.15)  # hair and background at the left edge
    assert ((mean_color(blond, *sides) - mean_color(black, *sides)).mean(dim=0) > 40).all()


def test_images_have_64_pixels_and_differ(pipeline: Pipeline) -> None:
    images = generate(pipeline, "a smiling woman")
    assert images.shape == (24, 3, 64, 64)
    distances = torch.cdist(images.flatten(1), images.flatten(1)) + 1e9 * torch.eye(24)
    assert distances.min() / (3 * 64 * 64) ** 0.5 > 8  # root mean square of the nearest pair, on a scale of 255


@pytest.mark.parametrize("person", ["man", "bald woman"])
def test_skin_tone_follows_the_description(pipeline: Pipeline, person: str) -> None:
    pale, dark = generate(pipeline, f"a pale {person}"), generate(pipeline, f"a dark-skinned {person}")
    face = (0.45, 0.7), (0.35, 0.65)
    assert ((mean_color(pale, *face) - mean_color(dark, *face)).mean(dim=0) > 40).all()


@pytest.mark.parametrize(
    "description", ["a bald man with a red beard and sunglasses", "a bald man with a beard", "a woman with a hat"]
)
def test_a_final_period_changes_nothing(pipeline: Pipeline, description: str) -> None:
    assert torch.equal(generate(pipeline, description), generate(pipeline, f"{description}."))


def test_the_report_belongs_to_the_weights(pipeline: Pipeline) -> None:
    report = json.loads((FOLDER / "report.json").read_text(encoding="utf-8"))
    assert report["images_seen"] == pipeline.images_seen
    figures = {row["name"]: row for row in report["table"]}
    assert figures["attribute_accuracy"]["generated"] >= 0.95 * figures["attribute_accuracy"]["real"]


@pytest.mark.parametrize(
    ("description", "synonym", "opposite"),
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
def test_synonyms_give_similar_faces(pipeline: Pipeline, description: str, synonym: str, opposite: str) -> None:
    """The mean face of a description is at least twice as near to its synonym's as to its opposite's."""
    face, same, other = (generate(pipeline, each, 48).mean(dim=0) for each in (description, synonym, opposite))
    assert (face - same).norm() < 0.5 * (face - other).norm()


@pytest.mark.parametrize(
    "description",
    [
        *("a girl", "a boy", "a guy", "a lady", "a man smiles", "a brunette", "a grey-haired man", "a bearded man"),
        *("men with beards", "a woman with fair hair", "isn't smiling", "specs", "draw me a redhead, please"),
    ],
)
def test_common_descriptions_give_no_note(pipeline: Pipeline, description: str) -> None:
    assert pipeline.conditioner.notes(description) == []


@pytest.mark.parametrize(
    "word", ["old", "young", "elderly", "teenage", "earrings", "lipstick", "blue eyes", "handsome"]
)
def test_attributes_outside_the_training_data_give_a_note(pipeline: Pipeline, word: str) -> None:
    (note,) = pipeline.conditioner.notes(f"a woman with {word}")
    assert "training data say nothing of it" in note
    assert "ignored" not in note


def test_a_man_has_hair_unless_he_is_bald(pipeline: Pipeline) -> None:
    """An earlier model generated no hair if the description did not mention it."""
    top = (0.05, 0.2), (0.4, 0.6)
    man, bald = (mean_color(generate(pipeline, description), *top) for description in ("a man", "a bald man"))
    assert (man - bald).abs().mean() > 15


def test_hair_color_follows_the_description(pipeline: Pipeline) -> None:
    top = (0.05, 0.3), (0.35, 0.65)
    red, black, blond = (
        mean_color(generate(pipeline, f"a woman with long {color} hair"), *top).mean(dim=0)
        for color in ("red", "black", "blond")
    )
    assert red[0] - red[2] > 60 > black[0] - black[2]  # red minus blue
    assert blond[1] - red[1] > 40  # green
    assert black.max() < red[0] - 40

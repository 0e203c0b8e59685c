from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from t2f.conditioning.attributes import AttributeConditioner
from t2f.conditioning.base import load_conditioner, save_conditioner
from t2f.data.faces import Faces
from t2f.utils.errors import UserError

NAMES = ["Male", "Black_Hair", "Young", "5_o_Clock_Shadow"]
VALUES = [[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, -1, 0], [1, 0, 1, 0], [0, -1, -1, 1], [0, 0, 0, 0], [1, 0, 1, 0]]


def make_faces(values: Sequence[Sequence[int]] = VALUES, names: Sequence[str] = NAMES) -> Faces:
    """Pictures that no turn leaves alike."""
    images = np.random.default_rng(0).integers(0, 256, (len(values), 3, 4, 4), dtype=np.uint8)
    return Faces(images, [[]] * len(values), np.array(values, np.int8).reshape(len(values), len(names)), list(names))


@pytest.fixture
def labels() -> AttributeConditioner:
    return AttributeConditioner.fit(make_faces())


@pytest.fixture
def turned() -> AttributeConditioner:
    return AttributeConditioner.fit(make_faces(), rotations=True)


def row(*values: float) -> list[float]:
    return list(values)


# --- rows of faces ----------------------------------------------------------------------------------------------------


def test_present_is_1_absent_is_minus_1_and_unknown_is_0(labels: AttributeConditioner) -> None:
    conditions = labels.of(make_faces())
    assert conditions.rows.dtype == torch.float32
    assert conditions.rows[[0, 1, 2, 4]].tolist() == [
        [1, -1, 1, -1],
        [-1, -1, -1, -1],
        [1, 1, 0, -1],
        [-1, 0, 0, 1],
    ]
    assert conditions.counts.tolist() == [1] * 7
    assert conditions.rotation_k.tolist() == [0] * 7
    assert labels.size == 4
    assert labels.summary == "4 attributes"


def test_only_the_named_attributes_are_told_in_the_order_of_their_naming() -> None:
    labels = AttributeConditioner.fit(make_faces(), names=["Young", "Male"])
    assert labels.size == 2
    assert labels.of(make_faces()).rows[:3].tolist() == [[1, 1], [-1, -1], [0, 1]]


def test_attributes_are_found_by_name_where_another_set_has_them_elsewhere(labels: AttributeConditioner) -> None:
    mixed = make_faces([[0, 1, 1, 1, 0]], ["Young", "Smiling", "Male", "5_o_Clock_Shadow", "Black_Hair"])
    assert labels.of(mixed).rows.tolist() == [[1, -1, -1, 1]]


def test_with_rotations_each_face_has_four_rows_that_tell_one_turn_each(turned: AttributeConditioner) -> None:
    conditions = turned.of(make_faces())
    assert turned.size == 8
    assert turned.summary == "4 attributes and the rotation"
    assert conditions.rows.shape == (28, 8)
    assert conditions.counts.tolist() == [4] * 7
    assert conditions.rotation_k.tolist() == [0, 1, 2, 3] * 7
    assert torch.equal(conditions.rows[:, 4:], torch.eye(4).repeat(7, 1))
    upright = AttributeConditioner.fit(make_faces()).of(make_faces()).rows
    for turn in range(4):
        assert torch.equal(conditions.rows[turn::4, :4], upright)


# --- descriptions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Male", row(1, -1, -1, -1)),
        ("Male, Young", row(1, -1, 1, -1)),
        ("Young,Male", row(1, -1, 1, -1)),
        ("none", row(-1, -1, -1, -1)),
        ("Young?", row(-1, -1, 0, -1)),
        ("Male, Young?, Black_Hair?", row(1, 0, 0, -1)),
        ("black hair", row(-1, 1, -1, -1)),
        ("BLACK_HAIR", row(-1, 1, -1, -1)),
        ("  male ,, Black Hair ? ,", row(1, 0, -1, -1)),
        ("5 o clock shadow", row(-1, -1, -1, 1)),
    ],
)
def test_a_description_lists_what_is_present(
    labels: AttributeConditioner, description: str, expected: list[float]
) -> None:
    assert labels([description]).tolist() == [expected]
    assert labels.notes(description) == []


@pytest.mark.parametrize(("turn", "place"), [("", 0), ("upright", 0), ("90 degrees", 1), ("270 degrees", 3)])
def test_a_description_may_ask_for_a_turn(turned: AttributeConditioner, turn: str, place: int) -> None:
    expected = [1, -1, 1, -1, *(float(each == place) for each in range(4))]
    assert turned([f"Male, Young, {turn}"]).tolist() == [expected]
    assert turned([f"{turn}, Young, Male"]).tolist() == [expected]


def test_many_descriptions_give_a_row_each(labels: AttributeConditioner) -> None:
    assert labels(["Male", "Young", "Male"]).tolist() == [[1, -1, -1, -1], [-1, -1, 1, -1], [1, -1, -1, -1]]


@pytest.mark.parametrize("description", ["Mael", "a smiling man", "Male Young", "Young!", "90 degrees", "Male?, ?"])
def test_what_is_no_label_is_refused_with_the_labels_there_are(labels: AttributeConditioner, description: str) -> None:
    for ask in (lambda: labels([description]), lambda: labels.notes(description)):
        with pytest.raises(UserError, match=r"none of them: list some of Male, Black_Hair, Young, 5_o_Clock_Shadow, "):
            ask()


def test_turns_are_among_the_labels_only_with_rotations(turned: AttributeConditioner) -> None:
    with pytest.raises(UserError, match=r"45 degrees is none of them: .* upright, 90 degrees, 180 degrees, 270 degre"):
        turned(["Male, 45 degrees"])


@pytest.mark.parametrize("description", ["", "   ", ",", " , ,"])
def test_an_empty_description_is_refused(labels: AttributeConditioner, description: str) -> None:
    with pytest.raises(UserError, match=r"A description is empty: name what the face has, .* or 'none'"):
        labels([description])


# --- there and back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotations", [False, True])
def test_the_description_of_an_example_gives_the_row_of_its_face(rotations: bool) -> None:
    faces = make_faces()
    labels = AttributeConditioner.fit(faces, rotations=rotations)
    conditions = labels.of(faces)
    first = np.cumsum(conditions.counts) - conditions.counts
    examples = labels.examples(faces, 100)
    assert len(examples) == 4 * (4 if rotations else 1)
    for example in examples:
        assert torch.equal(labels([example.description])[0], conditions.rows[first[example.face] + example.rotation_k])


def test_every_combination_of_labels_survives_its_description() -> None:
    values = [[a, b, c] for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)]
    faces = make_faces(values, ["Male", "Black_Hair", "Young"])
    labels = AttributeConditioner.fit(faces)
    examples = labels.examples(faces, 27)
    assert len({example.description for example in examples}) == 27
    rows = labels.of(faces).rows
    for example in examples:
        assert torch.equal(labels([example.description])[0], rows[example.face])


def test_examples_are_the_most_frequent_combinations_in_the_order_of_their_labels(labels: AttributeConditioner) -> None:
    examples = labels.examples(make_faces(), 2)
    assert [(example.description, example.face, example.rotation_k) for example in examples] == [
        ("Male, Young", 0, 0),  # three faces
        ("none", 1, 0),  # two faces
    ]


def test_with_rotations_each_example_is_shown_four_times(turned: AttributeConditioner) -> None:
    faces = make_faces()
    examples = turned.examples(faces, 8)
    assert [example.description for example in examples] == [
        "Male, Young",
        "Male, Young, 90 degrees",
        "Male, Young, 180 degrees",
        "Male, Young, 270 degrees",
        "none",
        "none, 90 degrees",
        "none, 180 degrees",
        "none, 270 degrees",
    ]
    for rotation_k, example in enumerate(examples[:4]):
        expected = np.stack([np.rot90(channel, rotation_k) for channel in faces.images[0]])
        assert np.array_equal(example.shown(faces), expected)


def test_fewer_examples_than_turns_still_show_one_face(turned: AttributeConditioner) -> None:
    assert [example.rotation_k for example in turned.examples(make_faces(), 1)] == [0, 1, 2, 3]


@pytest.mark.parametrize("rotations", [False, True])
def test_an_exam_asks_upright_for_all_that_is_known_of_faces_of_the_set(rotations: bool) -> None:
    faces = make_faces()
    labels = AttributeConditioner.fit(faces, names=["Young", "Male"], rotations=rotations)
    prompt_set = labels.prompt_set(faces, 50, seed=0)
    assert prompt_set.faces.shape == (50,)
    assert len(prompt_set.descriptions) == 50
    assert prompt_set.expected.dtype == torch.int8
    assert prompt_set.expected.shape == (50, 4)  # in the order of the faces' attributes
    assert (prompt_set.expected[:, [1, 3]] == -1).all()  # what is not conditioned on is not asked for
    rows = labels(prompt_set.descriptions)
    told = torch.where(rows == 0, -1, (rows + 1) / 2)
    assert torch.equal(told[:, 0].to(torch.int8), prompt_set.expected[:, 2])
    assert torch.equal(told[:, 1].to(torch.int8), prompt_set.expected[:, 0])
    if rotations:
        assert torch.equal(rows[:, 2:], torch.tensor([1.0, 0, 0, 0]).expand(50, 4))
    known = {tuple(values) for values in faces.attributes[:, [2, 0]].tolist()}
    assert {tuple(pair) for pair in prompt_set.expected[:, [2, 0]].tolist()} == known


def test_an_exam_is_that_of_its_seed(labels: AttributeConditioner) -> None:
    one, same, other = (labels.prompt_set(make_faces(), 50, seed) for seed in (0, 0, 1))
    assert one.descriptions == same.descriptions
    assert one.descriptions != other.descriptions


# --- fitting and keeping ----------------------------------------------------------------------------------------------


def test_an_unknown_name_is_told_with_those_alike() -> None:
    with pytest.raises(UserError, match=r"no attribute Yuong for attributes: choose .* Young\."):
        AttributeConditioner.fit(make_faces(), names=["Male", "Yuong"])
    with pytest.raises(UserError, match=r"no attribute Zzz .*: choose among Male, Black_Hair, Young, 5_o_Clock_Shadow"):
        AttributeConditioner.fit(make_faces(), names=["Zzz"])


def test_faces_without_attributes_cannot_be_learnt_from() -> None:
    with pytest.raises(UserError, match=r"no attributes to learn from: add some"):
        AttributeConditioner.fit(make_faces([[], []], []))


@pytest.mark.parametrize("rotations", [False, True])
def test_saved_and_loaded_it_says_the_same(rotations: bool) -> None:
    labels = AttributeConditioner.fit(make_faces(), names=["Young", "Male"], rotations=rotations)
    saved = save_conditioner(labels)
    assert saved == {
        "class": "t2f.conditioning.attributes.AttributeConditioner",
        "names": ["Young", "Male"],
        "rotations": rotations,
    }
    loaded = load_conditioner(saved)
    assert isinstance(loaded, AttributeConditioner)
    assert (loaded.size, loaded.summary) == (labels.size, labels.summary)
    assert torch.equal(loaded.of(make_faces()).rows, labels.of(make_faces()).rows)
    assert torch.equal(loaded(["Male, Young?"]), labels(["Male, Young?"]))


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.dict",
        "torch.nn.Linear",
        "t2f.conditioning_of_a_stranger.Labels",
        "t2f.inference.pipeline.Pipeline",
    ],
)
def test_a_strangers_class_is_not_called(name: str) -> None:
    saved: dict[str, Any] = {"class": name, "names": ["Male"], "rotations": False}
    with pytest.raises(UserError, match=r"asks to call .*, which is no conditioner of t2f: do not trust it"):
        load_conditioner(saved)


@pytest.mark.parametrize("name", ["t2f.conditioning.base.Example", "t2f.conditioning.base.UserError"])
def test_a_class_of_ours_that_is_no_conditioner_is_not_called(name: str) -> None:
    with pytest.raises(UserError, match="no conditioner of t2f"):
        load_conditioner({"class": name, "names": ["Male"], "rotations": False})

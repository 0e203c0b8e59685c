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
    """Create faces whose images change under every rotation."""
    images = np.random.default_rng(0).integers(0, 256, (len(values), 3, 4, 4), dtype=np.uint8)
    return Faces(images, [[]] * len(values), np.array(values, np.int8).reshape(len(values), len(names)), list(names))


@pytest.fixture
def labels() -> AttributeConditioner:
    return AttributeConditioner.fit(make_faces())


@pytest.fixture
def rotated() -> AttributeConditioner:
    return AttributeConditioner.fit(make_faces(), rotations=True)


# --- conditions of faces ------------------------------------------------------------


def test_present_is_1_absent_is_minus_1_and_unknown_is_0(labels: AttributeConditioner) -> None:
    conditions = labels.conditions_of(make_faces())
    assert conditions.values.dtype == torch.float32
    assert conditions.values[[0, 1, 2, 4]].tolist() == [
        [1, -1, 1, -1],
        [-1, -1, -1, -1],
        [1, 1, 0, -1],
        [-1, 0, 0, 1],
    ]
    assert conditions.counts.tolist() == [1] * 7
    assert conditions.rotation_k.tolist() == [0] * 7
    assert labels.size == 4
    assert labels.summary == "4 attributes"


def test_only_the_given_attributes_are_encoded_in_their_order() -> None:
    labels = AttributeConditioner.fit(make_faces(), names=["Young", "Male"])
    assert labels.size == 2
    assert labels.conditions_of(make_faces()).values[:3].tolist() == [[1, 1], [-1, -1], [0, 1]]


def test_attributes_are_selected_by_name_if_another_data_set_orders_them_differently(
    labels: AttributeConditioner,
) -> None:
    mixed = make_faces([[0, 1, 1, 1, 0]], ["Young", "Smiling", "Male", "5_o_Clock_Shadow", "Black_Hair"])
    assert labels.conditions_of(mixed).values.tolist() == [[1, -1, -1, 1]]


def test_with_rotations_each_face_has_one_condition_per_rotation(rotated: AttributeConditioner) -> None:
    conditions = rotated.conditions_of(make_faces())
    assert rotated.size == 8
    assert rotated.summary == "4 attributes and the rotation"
    assert conditions.values.shape == (28, 8)
    assert conditions.counts.tolist() == [4] * 7
    assert conditions.rotation_k.tolist() == [0, 1, 2, 3] * 7
    assert torch.equal(conditions.values[:, 4:], torch.eye(4).repeat(7, 1))
    upright = AttributeConditioner.fit(make_faces()).conditions_of(make_faces()).values
    for k in range(4):
        assert torch.equal(conditions.values[k::4, :4], upright)


# --- descriptions ------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Male", [1, -1, -1, -1]),
        ("Male, Young", [1, -1, 1, -1]),
        ("Young,Male", [1, -1, 1, -1]),
        ("none", [-1, -1, -1, -1]),
        ("Young?", [-1, -1, 0, -1]),
        ("Male, Young?, Black_Hair?", [1, 0, 0, -1]),
        ("black hair", [-1, 1, -1, -1]),
        ("BLACK_HAIR", [-1, 1, -1, -1]),
        ("  male ,, Black Hair ? ,", [1, 0, -1, -1]),
        ("5 o clock shadow", [-1, -1, -1, 1]),
    ],
)
def test_a_description_lists_the_present_attributes(
    labels: AttributeConditioner, description: str, expected: list[float]
) -> None:
    assert labels([description]).tolist() == [expected]
    assert labels.notes(description) == []


@pytest.mark.parametrize(("rotation", "k"), [("", 0), ("upright", 0), ("90 degrees", 1), ("270 degrees", 3)])
def test_a_description_may_name_a_rotation(rotated: AttributeConditioner, rotation: str, k: int) -> None:
    expected = [1, -1, 1, -1, *(float(each == k) for each in range(4))]
    assert rotated([f"Male, Young, {rotation}"]).tolist() == [expected]
    assert rotated([f"{rotation}, Young, Male"]).tolist() == [expected]


def test_each_description_has_its_own_row(labels: AttributeConditioner) -> None:
    assert labels(["Male", "Young", "Male"]).tolist() == [[1, -1, -1, -1], [-1, -1, 1, -1], [1, -1, -1, -1]]


@pytest.mark.parametrize("description", ["Mael", "a smiling man", "Male Young", "Young!", "90 degrees", "Male?, ?"])
def test_an_unknown_attribute_is_an_error_that_lists_the_known_ones(
    labels: AttributeConditioner, description: str
) -> None:
    for encode in (lambda: labels([description]), lambda: labels.notes(description)):
        with pytest.raises(
            UserError, match=r"not one of them: list some of Male, Black_Hair, Young, 5_o_Clock_Shadow, "
        ):
            encode()


def test_only_with_rotations_are_rotations_listed_as_known(rotated: AttributeConditioner) -> None:
    with pytest.raises(UserError, match=r"45 degrees is not one of them: .* upright, 90 degrees, 180 degrees, 270 d"):
        rotated(["Male, 45 degrees"])


@pytest.mark.parametrize("description", ["", "   ", ",", " , ,"])
def test_an_empty_description_is_an_error(labels: AttributeConditioner, description: str) -> None:
    with pytest.raises(UserError, match=r"A description is empty: list the attributes of the face, .* or 'none'"):
        labels([description])


# --- round trips ------------------------------------------------------------


@pytest.mark.parametrize("rotations", [False, True])
def test_the_description_of_an_example_encodes_to_the_condition_of_its_face(rotations: bool) -> None:
    faces = make_faces()
    labels = AttributeConditioner.fit(faces, rotations=rotations)
    conditions = labels.conditions_of(faces)
    first = np.cumsum(conditions.counts) - conditions.counts
    examples = labels.examples(faces, 100)
    assert len(examples) == 4 * (4 if rotations else 1)
    for example in examples:
        assert torch.equal(
            labels([example.description])[0], conditions.values[first[example.face] + example.rotation_k]
        )


def test_every_combination_of_labels_is_encoded_losslessly_as_a_description() -> None:
    values = [[a, b, c] for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)]
    faces = make_faces(values, ["Male", "Black_Hair", "Young"])
    labels = AttributeConditioner.fit(faces)
    examples = labels.examples(faces, 27)
    assert len({example.description for example in examples}) == 27
    values = labels.conditions_of(faces).values
    for example in examples:
        assert torch.equal(labels([example.description])[0], values[example.face])


def test_examples_are_the_most_frequent_combinations_in_descending_order(labels: AttributeConditioner) -> None:
    examples = labels.examples(make_faces(), 2)
    assert [(example.description, example.face, example.rotation_k) for example in examples] == [
        ("Male, Young", 0, 0),  # three faces
        ("none", 1, 0),  # two faces
    ]


def test_with_rotations_each_example_has_four_rotations(rotated: AttributeConditioner) -> None:
    faces = make_faces()
    examples = rotated.examples(faces, 8)
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
        assert np.array_equal(example.image(faces), expected)


def test_fewer_examples_than_rotations_still_give_one_face(rotated: AttributeConditioner) -> None:
    assert [example.rotation_k for example in rotated.examples(make_faces(), 1)] == [0, 1, 2, 3]


@pytest.mark.parametrize("rotations", [False, True])
def test_a_prompt_set_expects_all_known_attributes_of_upright_faces(rotations: bool) -> None:
    faces = make_faces()
    labels = AttributeConditioner.fit(faces, names=["Young", "Male"], rotations=rotations)
    prompt_set = labels.prompt_set(faces, 50, seed=0)
    assert prompt_set.faces.shape == (50,)
    assert len(prompt_set.descriptions) == 50
    assert prompt_set.expected.dtype == torch.int8
    assert prompt_set.expected.shape == (50, 4)  # in the order of the faces' attributes
    assert (prompt_set.expected[:, [1, 3]] == -1).all()  # attributes without a condition are not expected
    rows = labels(prompt_set.descriptions)
    encoded = torch.where(rows == 0, -1, (rows + 1) / 2)
    assert torch.equal(encoded[:, 0].to(torch.int8), prompt_set.expected[:, 2])
    assert torch.equal(encoded[:, 1].to(torch.int8), prompt_set.expected[:, 0])
    if rotations:
        assert torch.equal(rows[:, 2:], torch.tensor([1.0, 0, 0, 0]).expand(50, 4))
    known = {tuple(values) for values in faces.attributes[:, [2, 0]].tolist()}
    assert {tuple(pair) for pair in prompt_set.expected[:, [2, 0]].tolist()} == known


def test_a_prompt_set_depends_on_its_seed_only(labels: AttributeConditioner) -> None:
    one, same, other = (labels.prompt_set(make_faces(), 50, seed) for seed in (0, 0, 1))
    assert one.descriptions == same.descriptions
    assert one.descriptions != other.descriptions


# --- fitting and saving ------------------------------------------------------------


def test_an_unknown_name_is_an_error_that_suggests_similar_names() -> None:
    with pytest.raises(UserError, match=r"no attribute Yuong for attributes: choose .* Young\."):
        AttributeConditioner.fit(make_faces(), names=["Male", "Yuong"])
    with pytest.raises(UserError, match=r"no attribute Zzz .*: choose among Male, Black_Hair, Young, 5_o_Clock_Shadow"):
        AttributeConditioner.fit(make_faces(), names=["Zzz"])


def test_faces_without_attributes_are_an_error() -> None:
    with pytest.raises(UserError, match=r"no attributes to train on: add some"):
        AttributeConditioner.fit(make_faces([[], []], []))


@pytest.mark.parametrize("rotations", [False, True])
def test_a_loaded_conditioner_equals_the_saved_one(rotations: bool) -> None:
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
    assert torch.equal(loaded.conditions_of(make_faces()).values, labels.conditions_of(make_faces()).values)
    assert torch.equal(loaded(["Male, Young?"]), labels(["Male, Young?"]))


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.dict",
        "torch.nn.Linear",
        "t2f.conditioning_elsewhere.Labels",
        "t2f.inference.pipeline.Pipeline",
    ],
)
def test_a_class_outside_of_the_package_is_not_called(name: str) -> None:
    saved: dict[str, Any] = {"class": name, "names": ["Male"], "rotations": False}
    with pytest.raises(UserError, match=r"names the class .*, which is not a conditioner of t2f: do not trust it"):
        load_conditioner(saved)


@pytest.mark.parametrize("name", ["t2f.conditioning.base.ExamplePrompt", "t2f.conditioning.base.UserError"])
def test_a_class_of_the_package_that_is_not_a_conditioner_is_not_called(name: str) -> None:
    with pytest.raises(UserError, match="not a conditioner of t2f"):
        load_conditioner({"class": name, "names": ["Male"], "rotations": False})

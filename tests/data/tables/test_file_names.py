import unicodedata
from pathlib import Path

import pytest

from t2f.data.tables.file_names import FileIndex, files_below
from t2f.utils.errors import UserError

NFC, NFD = (unicodedata.normalize(form, "Zoë.png") for form in ("NFC", "NFD"))


def file_index(folder: Path, *files: str) -> FileIndex:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return FileIndex(folder)


def found(folder: Path, files: list[str], *wanted: str, part: str = "", apart: bool = False) -> list[str | None]:
    return file_index(folder, *files).resolve([("table, line 1,", name) for name in wanted], part, apart)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("images/0.png", "images/0.png"),
        ("images/0.png", "./images//0.png"),
        ("images/0.png", r"images\0.png"),
        ("images/0.png", r".\images\0.png"),
        ("images/0.png", " images/0.png "),
        ("images/0.png", '"images/0.png"'),
        ("images/0.png", "Images/0.PNG"),
        ("images/0.JPG", "images/0.jpg"),
        ("images/0.jpg", "images/0.jpeg"),
        ("images/0.jpg", "images/0.png"),
        ("images/0.jpg", "images/0"),
        ("images/0.jpg", "0"),
        ("images/0.png", "0.png"),
        ("a/b/0.png", "b/0.png"),
        ("0.png", "images/0.png"),
        ("images/0.png", "faces/train/images/0.png"),
        ("images/0.png", "https://host/images/0.png"),
        ("images/0.png", "/home/ann/faces/images/0.png"),
        ("images/0.png", "/home/ann/0.png"),
        ("images/0.png", r"C:\Users\Ann\faces\0.png"),
        ("0.png", r"\\server\share\0.png"),
        (NFC, NFD),
        (NFD, NFC),
        (f"Ann/{NFC}", rf"ann\{NFD.upper()}"),
        ("v1.2 anna.png", "v1.2 anna"),
        ("images/anna b.png", "images/anna%20b.png"),
        ("images/anna b.png", "https://host/images%2Fanna%20b.png"),
        (NFD, "Zo%C3%AB.png"),
        ("100%25.png", "100%25.png"),
        ("100% .png", "100% .PNG"),
    ],
)
def test_names_in_another_spelling(tmp_path: Path, file: str, name: str) -> None:
    assert found(tmp_path, [file, "other.png"], name) == [file]


def test_an_absolute_path_of_this_machine(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    assert found(folder, ["0.png", "sub/0.png"], str(folder / "sub/0.png")) == ["sub/0.png"]
    (tmp_path / "0.png").touch()  # another file with the same name
    with pytest.raises(
        UserError, match=r"names .*/0\.png, which is outside of the folder .*faces: move the image into it"
    ):
        found(folder, [], str(tmp_path / "0.png"))


def test_an_existing_name_is_not_decoded(tmp_path: Path) -> None:
    both = ["a b.png", "a%20b.png"]
    assert found(tmp_path, both, *both) == both


@pytest.mark.parametrize("name", ["%2e%2e/0.png", "..%2f0.png"])
def test_percent_encoded_names_do_not_leave_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "0.png").touch()
    assert found(tmp_path / "faces", ["1.png"], name) == [None]


@pytest.mark.parametrize(
    "name", ["../0.png", r"..\0.png", "a/../../0.png", "/etc/none.png", r"C:\none.png", "/0/../0.png"]
)
def test_names_outside_of_the_folder_are_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "0.png").touch()
    with pytest.raises(
        UserError, match=r"^table, line 1, names .*, which is outside of the folder .*faces: move the image"
    ):
        found(tmp_path / "faces", ["0.png", "1.png"], name)


def test_a_missing_file_among_absolute_paths_of_another_machine(tmp_path: Path) -> None:
    assert found(tmp_path, ["0.png"], "/home/ann/0.png", "/home/ann/1.png") == ["0.png", None]


@pytest.mark.parametrize(
    ("files", "name", "expected"),
    [
        (["a/0.png", "b/0.png"], "b/0.PNG", "b/0.png"),
        (["0.png", "b/0.png"], "b/0.PNG", "b/0.png"),
        (["0.png", "b/0.png"], "a/b/0.png", "b/0.png"),
        (["0.png", "b/0.png"], "/home/ann/b/0.png", "b/0.png"),
        (["images/0.jpg", "masks/0.png"], "0.jpg", "images/0.jpg"),
    ],
)
def test_the_best_match_is_found(tmp_path: Path, files: list[str], name: str, expected: str) -> None:
    assert found(tmp_path, files, name) == [expected]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["a/0.png", "b/0.png"], "0.png"),
        (["a/0.png", "b/0.png"], "/home/ann/0.png"),
        (["0.png", "0.jpg"], "0"),
        (["0.jpg", "0.webp"], "0.png"),
        (["A.png", "a.png"], "a.PNG"),
    ],
)
def test_an_ambiguous_name_is_an_error(tmp_path: Path, files: list[str], name: str) -> None:
    either = f"({files[0]} or {files[1]}|{files[1]} or {files[0]})"
    with pytest.raises(
        UserError, match=rf"^table, line 1, names .*, which may be {either} of .*: write the full name\.$"
    ):
        found(tmp_path, files, name)


def test_a_file_in_another_folder_is_only_a_hint(tmp_path: Path) -> None:
    assert found(tmp_path, ["b/0.png"], "a/0.png") == [None]
    assert file_index(tmp_path).hint("a/0.png") == " (did you mean b/0.png?)"


def test_a_file_belongs_to_its_exact_name(tmp_path: Path) -> None:
    assert found(tmp_path, ["0.png"], "a/0.png", "0.png") == [None, "0.png"]
    assert found(tmp_path, ["0.png"], "0.jpg", "0.png") == [None, "0.png"]
    assert found(tmp_path, ["0.png"], "0.PNG", "0.png", r".\0.png") == ["0.png"] * 3
    assert found(tmp_path, ["0.png"], "a/0.png", "b/0.png") == ["0.png", None]


def test_names_in_a_subfolder(tmp_path: Path) -> None:
    files = ["train/0.png", "train/images/1.png", "test/0.png", "test/2.png"]
    for name, file in (("0.png", files[0]), ("train/0.PNG", files[0]), ("1.png", files[1]), ("images/1.png", files[1])):
        assert found(tmp_path, files, name, part="train") == [file]
    assert found(tmp_path, files, "test/0.png", "2.png", part="train") == ["test/0.png", None]


def test_text_files_in_another_folder_than_the_images(tmp_path: Path) -> None:
    assert found(tmp_path, ["images/0.jpg"], "text/0", "text/1") == [None, None]
    assert found(tmp_path, ["images/0.jpg"], "text/0", "text/1", apart=True) == ["images/0.jpg", None]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("1", " (did you mean 000001.png?)"), ("anna1.png", " (did you mean anna_1.png?)"), ("quite another.png", "")],
)
def test_the_hint_names_the_most_similar_file(tmp_path: Path, name: str, hint: str) -> None:
    assert file_index(tmp_path, "000001.png", "anna_1.png").hint(name) == hint


def test_hidden_files_and_loops_are_skipped(tmp_path: Path) -> None:
    file_index(tmp_path, "a/0.png", ".b/0.png", "__MACOSX/0.png", "a/._0.png")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    assert files_below(tmp_path) == ["a/0.png"]
    (tmp_path / "a/loop").unlink()
    file_index(tmp_path.parent / "elsewhere", "1.png")
    (tmp_path / "link").symlink_to(tmp_path.parent / "elsewhere")
    assert files_below(tmp_path) == ["a/0.png", "link/1.png"]

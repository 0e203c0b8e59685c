import errno

import pytest

from t2f.utils.errors import UserError, disk_errors, one_sentence_errors


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "The disk is full, so the table could not be written"),
        (errno.EDQUOT, "The disk is full, so the table could not be written"),
        (errno.EACCES, "The table could not be written"),
        (errno.EISDIR, "The table could not be written"),
        (errno.EIO, "The table could not be written"),
    ],
)
def test_disk_errors_name_the_file(number: int, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught, disk_errors("the table"):
        raise OSError(number, "")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("error", [ValueError("no"), UserError("fix it")])
def test_disk_errors_does_not_change_other_errors(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, disk_errors("the table"):
        raise error
    assert caught.value is error


def test_a_user_error_is_printed_as_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, one_sentence_errors():
        raise UserError("The disk is full.")
    assert caught.value.code == 1
    assert capsys.readouterr() == ("", "error: The disk is full.\n")


def raise_wrapped_error() -> None:
    """Raise a `UserError` wrapped in other errors, as Hydra does."""
    try:
        try:
            raise UserError("Give a size.")
        except UserError as error:
            raise RuntimeError("error in call to target") from error
    except RuntimeError as error:
        raise TypeError("outermost") from error


def test_a_wrapped_user_error_is_printed_as_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), one_sentence_errors():
        raise_wrapped_error()
    assert capsys.readouterr().err == "error: Give a size.\n"


def test_other_errors_keep_their_stack_trace(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), one_sentence_errors():
        _ = 1 / 0
    assert capsys.readouterr().err == ""


def test_nothing_is_printed_without_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with one_sentence_errors(), disk_errors("the table"):
        pass
    assert capsys.readouterr() == ("", "")

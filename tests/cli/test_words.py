from pathlib import Path

import pytest

from t2f.cli.demo_page import DemoSession
from t2f.cli.words import words
from t2f.inference.load import load


def test_the_words_of_a_model_are_shown_by_what_they_are_about(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    words(model)
    shown = capsys.readouterr().out
    known = load(model).conditioner.known()
    assert known
    for topic, some in known.items():
        assert topic.split()[0] in shown
        assert some[0] in shown
    assert load(model).conditioner.example.split()[0] in shown


def test_the_shipped_model_knows_what_it_was_taught(capsys: pytest.CaptureFixture[str]) -> None:
    words("pretrained")
    shown = " ".join(capsys.readouterr().out.split())
    for word in ("girl", "guy", "brunette", "specs", "grinning", "hair colour", "beard and mustache"):
        assert word in shown


def test_the_page_lists_them(model: str) -> None:
    pipeline = load(model)
    listed = DemoSession(pipeline, Path(model).name).words()
    assert len(listed.splitlines()) == len(pipeline.conditioner.known())
    assert all(f"**{topic}**" in listed for topic in pipeline.conditioner.known())

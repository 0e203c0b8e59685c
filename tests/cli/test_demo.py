"""The page in a real browser."""

import importlib.util
import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fixtures.serving import Server
from PIL import Image

from t2f.cli.demo import demo
from t2f.cli.demo_page import LARGEST_SEED, MOST, DemoSession
from t2f.inference.load import load
from t2f.utils.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None, reason="gradio is missing: pip install -e '.[demo]'"
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec("playwright") is None,
    reason="a browser is missing: apt-get install chromium and pip install -e '.[test]'",
)
MAN, WOMAN = "a man", "a smiling woman"


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


def visit(browser: "Browser", server: Server) -> "Page":
    """A visitor of their own, who sees the first faces."""
    page = browser.new_context().new_page()
    page.goto(server.address)
    page.locator(".faces img").first.wait_for()
    return page


def faces_of(page: "Page", title: str, count: int = 8) -> list[str]:
    """The pictures, once there are as many of that title."""
    from playwright.sync_api import expect

    faces = page.locator(".faces img").and_(page.get_by_alt_text(title, exact=True))
    expect(faces).to_have_count(count)
    assert page.locator(".faces img").count() == count
    return [str(face.get_attribute("src")) for face in faces.all()]


def ask(page: "Page", description: str) -> None:
    page.locator("#description textarea").fill(description)
    page.locator("#draw").click()


def slide(page: "Page", name: str, value: str) -> None:
    page.locator(f"#{name} input[type=number]").fill(value)


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_a_visitor_types_clicks_sees_faces_and_keeps_them(
    browser: "Browser", server: Server, model: str, tmp_path: Path
) -> None:
    page = browser.new_context().new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.address)
    example = page.locator(".examples button").first
    first = faces_of(page, example.inner_text())

    page.locator("#description textarea").fill(MAN)
    page.keyboard.press("Enter")
    man = faces_of(page, MAN)
    assert len({*first, *man}) == 16
    assert page.locator(".faces img").first.evaluate("face => face.complete && face.naturalWidth") == 8
    example.click()
    assert faces_of(page, example.inner_text()) == first

    ask(page, MAN)
    faces_of(page, MAN)
    slide(page, "count", "3")
    assert faces_of(page, MAN, 3) == man[:3]
    slide(page, "truncation", "0")
    page.wait_for_function("new Set([...document.querySelectorAll('.faces img')].map(face => face.src)).size == 1")
    slide(page, "seed", "7")
    with page.expect_download() as download:
        page.get_by_text("Download as PNG").click()
    download.value.save_as(tmp_path / "faces.png")
    texts = Image.open(tmp_path / "faces.png").text
    assert texts["Description"] == MAN
    assert json.loads(texts["Comment"])["model"] == Path(model).name  # and not whose folders it lies in
    assert all(url.startswith((server.address, "data:")) for url in asked)


@needs_gradio
@needs_browser
def test_the_slider_goes_from_one_description_to_the_other(browser: "Browser", server: Server) -> None:
    page = visit(browser, server)
    ask(page, WOMAN)
    woman = faces_of(page, WOMAN)
    ask(page, MAN)
    man = faces_of(page, MAN)
    page.locator("#other textarea").fill(WOMAN)
    slide(page, "share", "0.5")
    between = faces_of(page, f"{MAN}  ->  {WOMAN}, 50%")
    slide(page, "share", "1")
    assert faces_of(page, f"{MAN}  ->  {WOMAN}, 100%") == woman
    assert len({*man, *between, *woman}) == 24


@needs_gradio
@needs_browser
def test_any_text_is_drawn_or_answered_in_a_sentence(browser: "Browser", server: Server) -> None:
    from playwright.sync_api import expect

    page = visit(browser, server)
    note = page.locator("#note .note")
    for description, told in (
        ("", "Description 1 is empty"),
        ("man " * 100, "A description may have at most 300 characters: shorten it."),
        (" \n\t ", "Description 1 is empty"),
        ("x" * 100_000, "A description may have at most 300 characters: shorten it."),
        ("zwölf Boxkämpfer", "none of the words of 'zwölf Boxkämpfer'"),
        ("رجل 男 🙂", "none of the words"),
        ("🙂", "has no words"),
        ("a man, 男 🙂 \u202e", "ignored: 男"),
        ('a "><img src=x onerror="window.hit=1"> man', "onerror"),
        ("a woman <script>window.hit=1</script>", "script"),
        ("man ${window.hit=1} {{window.hit=1}}", "window"),
        ("\x00 zwölf", "none of the words of"),
    ):
        ask(page, description)
        expect(note).to_contain_text(told)
        if told.startswith(("Description", "A description", "none of", "has no")):
            # Faces of the description before would pass for this one's.
            expect(page.locator(".faces img")).to_have_count(0)
            expect(note).to_have_css("color", "rgb(138, 28, 15)")
    ask(page, MAN)
    faces_of(page, MAN)
    assert note.inner_text() == ""
    assert page.evaluate("window.hit") is None


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_three_visitors_who_click_twenty_times_each_see_their_own_faces(browser: "Browser", server: Server) -> None:
    pages = [visit(browser, server) for _ in range(3)]
    descriptions = (MAN, WOMAN, "a bald man")
    for page, description in zip(pages, descriptions, strict=True):
        page.locator("#description textarea").fill(description)
    for _ in range(20):
        for page in pages:
            page.locator("#draw").evaluate("button => button.click()")
    seen = [faces_of(page, description) for page, description in zip(pages, descriptions, strict=True)]
    assert len({face for faces in seen for face in faces}) == 24


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"share": float("nan")}, "from 0 to 1"),
        ({"share": None}, "from 0 to 1"),
        ({"share": 0.5, "other": ""}, "Description 2 is empty"),
        ({"description": None}, "Description 1 is empty"),
        ({"count": 0}, "from 1 to 16 faces"),
        ({"count": MOST + 1}, "from 1 to 16 faces"),
        ({"seed": None}, "whole number"),
        ({"seed": LARGEST_SEED + 1}, "whole number"),
        ({"truncation": float("inf")}, "from 0 to 2"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(model: str, change: dict[str, Any], said: str) -> None:
    asked = {"description": MAN, "other": WOMAN, "share": 0, "count": 1, "seed": 0, "truncation": 1, **change}
    with pytest.raises(UserError, match=said):
        DemoSession(load(model), "tiny").draw(**asked)


def test_only_examples_that_the_model_knows_are_shown(model: str) -> None:
    pipeline = load(model)
    examples = DemoSession(pipeline, "tiny").examples()
    assert examples
    assert not any(pipeline.conditioner.notes(example) for example in examples)


def test_without_gradio_one_sentence_names_what_brings_it(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=re.escape("pip install -e '.[demo]'")):
        demo(model, "127.0.0.1", 7860)


@pytest.mark.slow
@needs_gradio
def test_a_port_that_is_taken_is_said_so(model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"at 127.0.0.1, port {port}: choose another --port"):
            demo(model, "127.0.0.1", port)

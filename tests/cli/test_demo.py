"""The demo page in a real browser."""

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
from fixtures.demo_server import Server, run_demo
from PIL import Image

from t2f.cli.demo import demo
from t2f.cli.demo_page import MAX_COUNT, MAX_SEED, DemoSession
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


def open_page(browser: "Browser", server: Server) -> "Page":
    """Open the page in a new session and wait for the first images."""
    page = browser.new_context().new_page()
    page.goto(server.address)
    page.locator(".faces img").first.wait_for()
    return page


def wait_for_faces(page: "Page", title: str, count: int = 8) -> list[str]:
    """Wait for `count` images with a title and return their URLs."""
    from playwright.sync_api import expect

    faces = page.locator(".faces img").and_(page.get_by_alt_text(title, exact=True))
    expect(faces).to_have_count(count)
    assert page.locator(".faces img").count() == count
    return [str(face.get_attribute("src")) for face in faces.all()]


def enter(page: "Page", description: str) -> None:
    page.locator("#description textarea").fill(description)
    page.locator("#generate").click()


def set_slider(page: "Page", name: str, value: str) -> None:
    page.locator(f"#{name} input[type=number]").fill(value)


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_a_visitor_generates_and_downloads_faces(
    browser: "Browser", server: Server, model: str, tmp_path: Path
) -> None:
    page = browser.new_context().new_page()
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(server.address)
    example = page.locator(".examples button").first
    first = wait_for_faces(page, example.inner_text())

    page.locator("#description textarea").fill(MAN)
    page.keyboard.press("Enter")
    man = wait_for_faces(page, MAN)
    assert len({*first, *man}) == 16
    assert page.locator(".faces img").first.evaluate("face => face.complete && face.naturalWidth") == 8
    example.click()
    assert wait_for_faces(page, example.inner_text()) == first

    enter(page, MAN)
    wait_for_faces(page, MAN)
    set_slider(page, "count", "3")
    assert wait_for_faces(page, MAN, 3) == man[:3]
    set_slider(page, "truncation", "0")
    page.wait_for_function("new Set([...document.querySelectorAll('.faces img')].map(face => face.src)).size == 1")
    set_slider(page, "seed", "7")
    with page.expect_download() as download:
        page.get_by_text("Download as PNG").click()
    download.value.save_as(tmp_path / "faces.png")
    texts = Image.open(tmp_path / "faces.png").text
    assert texts["Description"] == MAN
    assert json.loads(texts["Comment"])["model"] == Path(model).name  # without its folder
    assert all(url.startswith((server.address, "data:")) for url in urls)


@needs_gradio
@needs_browser
def test_the_slider_interpolates_between_two_descriptions(browser: "Browser", server: Server) -> None:
    page = open_page(browser, server)
    enter(page, WOMAN)
    woman = wait_for_faces(page, WOMAN)
    enter(page, MAN)
    man = wait_for_faces(page, MAN)
    page.locator("#other textarea").fill(WOMAN)
    set_slider(page, "weight", "0.5")
    middle = wait_for_faces(page, f"{MAN}  ->  {WOMAN}, 50%")
    set_slider(page, "weight", "1")
    assert wait_for_faces(page, f"{MAN}  ->  {WOMAN}, 100%") == woman
    assert len({*man, *middle, *woman}) == 24


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_a_visitor_chooses_among_the_models(browser: "Browser", model: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    with run_demo(model, tmp_path, "pretrained") as server:
        page = open_page(browser, server)
        enter(page, MAN)
        wait_for_faces(page, MAN)
        expect(page.locator("#vocabulary")).not_to_contain_text("mustache")
        page.get_by_label("pretrained").check()
        example = "a smiling woman with long red hair and glasses"
        wait_for_faces(page, example)
        assert page.locator(".faces img").first.evaluate("face => face.naturalWidth") == 64
        assert page.locator("#description textarea").input_value() == example
        assert example in page.locator(".examples button").all_inner_texts()
        page.locator("#vocabulary button").click()
        expect(page.locator("#vocabulary")).to_contain_text("mustache")


@needs_gradio
@needs_browser
def test_the_radio_of_a_single_model_is_hidden(browser: "Browser", server: Server) -> None:
    assert open_page(browser, server).get_by_text("Model", exact=True).count() == 0


@needs_gradio
@needs_browser
def test_any_text_gives_images_or_a_message(browser: "Browser", server: Server) -> None:
    from playwright.sync_api import expect

    page = open_page(browser, server)
    note = page.locator("#note .note")
    for description, message in (
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
        enter(page, description)
        expect(note).to_contain_text(message)
        if message.startswith(("Description", "A description", "none of", "has no")):
            # Images of the previous description would look like the result.
            expect(page.locator(".faces img")).to_have_count(0)
            expect(note).to_have_css("color", "rgb(138, 28, 15)")
    enter(page, MAN)
    wait_for_faces(page, MAN)
    assert note.inner_text() == ""
    assert page.evaluate("window.hit") is None


@pytest.mark.slow
@needs_gradio
@needs_browser
def test_three_visitors_with_twenty_clicks_each_get_their_own_faces(browser: "Browser", server: Server) -> None:
    pages = [open_page(browser, server) for _ in range(3)]
    descriptions = (MAN, WOMAN, "a bald man")
    for page, description in zip(pages, descriptions, strict=True):
        page.locator("#description textarea").fill(description)
    for _ in range(20):
        for page in pages:
            page.locator("#generate").evaluate("button => button.click()")
    faces = [wait_for_faces(page, description) for page, description in zip(pages, descriptions, strict=True)]
    assert len({face for urls in faces for face in urls}) == 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": float("nan")}, "from 0 to 1"),
        ({"weight": None}, "from 0 to 1"),
        ({"weight": 0.5, "other": ""}, "Description 2 is empty"),
        ({"description": None}, "Description 1 is empty"),
        ({"count": 0}, "number of faces must be from 1 to 16"),
        ({"count": MAX_COUNT + 1}, "number of faces must be from 1 to 16"),
        ({"seed": None}, "whole number"),
        ({"seed": MAX_SEED + 1}, "whole number"),
        ({"truncation": float("inf")}, "from 0 to 2"),
    ],
)
def test_invalid_inputs_are_refused(model: str, change: dict[str, Any], message: str) -> None:
    inputs = {"description": MAN, "other": WOMAN, "weight": 0, "count": 1, "seed": 0, "truncation": 1, **change}
    with pytest.raises(UserError, match=message):
        DemoSession(load(model), "tiny").generate(**inputs)


def test_examples_contain_only_known_words(model: str) -> None:
    pipeline = load(model)
    examples = DemoSession(pipeline, "tiny").examples()
    assert examples
    assert not any(pipeline.conditioner.notes(example) for example in examples)


def test_missing_gradio_is_reported_with_its_install_command(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=re.escape("pip install -e '.[demo]'")):
        demo([model], "127.0.0.1", 7860)


@needs_gradio
def test_models_with_one_name_are_refused(model: str) -> None:
    with pytest.raises(UserError, match="Two models would have the same name"):
        demo([model, f"./{model}" if not model.startswith("/") else f"/.{model}"], "127.0.0.1", 7860)


@pytest.mark.slow
@needs_gradio
def test_a_port_in_use_is_reported(model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"at 127.0.0.1, port {port}: choose another --port"):
            demo([model], "127.0.0.1", port)

"""The page in a real browser, and its server as strangers may call it."""

import http.client
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from t2f.commands.demo import demo
from t2f.commands.gate import MOST_UNREAD
from t2f.commands.page import LARGEST_SEED, MOST, WAITING, Studio
from t2f.errors import UserError
from t2f.models import load

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


@dataclass
class Server:
    """A page that is being served; its own calls to other machines would end in `outside`."""

    port: int
    files: Path
    outside: list[bytes]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Status and content; the path is sent as it is, which most clients would mend first."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def join(self, data: list[Any], visitor: str) -> int:
        """Ask for a drawing as the page does, but with any values; the status."""
        body = json.dumps({"data": data, "fn_index": self.drawing, "session_hash": visitor}).encode()
        return self.ask("POST", "/gradio_api/queue/join", body, **{"Content-Type": "application/json"})[0]

    def answer(self, data: list[Any]) -> bytes:
        """All that a visitor with these values is told."""
        visitor = uuid.uuid4().hex
        assert self.join(data, visitor) == 200
        status, told = self.ask("GET", f"/gradio_api/queue/data?session_hash={visitor}")
        assert status == 200
        return told

    @property
    def drawing(self) -> int:
        """The number of what draws."""
        config = json.loads(self.ask("GET", "/config")[1])
        return int(config["dependencies"][-1]["id"])


@pytest.fixture(scope="module")
def server(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`t2f demo`, ended by Ctrl-C."""
    files = tmp_path_factory.mktemp("gradio")
    trap = socket.create_server(("127.0.0.1", 0))
    called: list[bytes] = []
    threading.Thread(target=listen, args=(trap, called), daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = f"http://127.0.0.1:{trap.getsockname()[1]}"
    environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()} | {
        **{"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost"},
        **{"GRADIO_TEMP_DIR": str(files), "GRADIO_SHARE": "true", "OMP_NUM_THREADS": "1"},
    }
    command = [sys.executable, "-m", "t2f", "demo", "--model", model, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert f"http://127.0.0.1:{port}/" in first, first
            yield Server(port, files, called)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()


def listen(trap: socket.socket, called: list[bytes]) -> None:
    """Note what is asked of a proxy."""
    while True:
        caller, _ = trap.accept()
        with caller:
            called.append(caller.recv(1000))


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
        ("zwölf Boxkämpfer", "none of the words of a description (zwölf, Boxkämpfer)"),
        ("رجل 男 🙂", "none of the words"),
        ("🙂", "has no words"),
        ("a man, 男 🙂 \u202e", "ignored: 男"),
        ('a "><img src=x onerror="window.hit=1"> man', "onerror"),
        ("a woman <script>window.hit=1</script>", "script"),
        ("man ${window.hit=1} {{window.hit=1}}", "window"),
        ("\x00 zwölf", "none of the words of a description"),
    ):
        ask(page, description)
        expect(note).to_contain_text(told)
    ask(page, MAN)
    faces_of(page, MAN)
    assert note.inner_text() == ""
    assert page.evaluate("window.hit") is None


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


@needs_gradio
def test_a_flood_of_requests_is_turned_away_and_passes(server: Server) -> None:
    data = [MAN, "", 0, MOST, 0, 1]
    with ThreadPoolExecutor(16) as many:
        answers = list(many.map(lambda number: server.join(data, f"flood{number}"), range(6 * WAITING)))
    assert set(answers) == {200, 503}
    for number in (number for number, status in enumerate(answers) if status == 200):
        assert b"data:image/png" in server.ask("GET", f"/gradio_api/queue/data?session_hash=flood{number}")[1]
    assert b"data:image/png" in server.answer(data)


@needs_gradio
def test_who_fetches_nothing_is_not_drawn_for_without_end(server: Server) -> None:
    data = [MAN, "", 0, 1, 0, 1]
    assert [server.join(data, "hoarder") for _ in range(MOST_UNREAD + 2)] == [200] * MOST_UNREAD + [429] * 2
    told = server.ask("GET", "/gradio_api/queue/data?session_hash=hoarder")[1]
    assert told.count(b"data:image/png") == 2 * MOST_UNREAD  # a face, and the sheet to keep
    assert server.join(data, "hoarder") == 200
    for visitor in ("", "a b", "a" * 65, "../x", 5, None, ["a"]):
        assert server.join(data, visitor) == 400  # type: ignore[arg-type]
    for question in ("", "?session_hash=", "?session_hash=..%2f", "?session_hash=a&session_hash=b"):
        assert server.ask("GET", f"/gradio_api/queue/data{question}") == (400, b"")
    for body in (b"", b"{", b"[]", b"[" * 50_000):
        assert server.ask("POST", "/gradio_api/queue/join", body)[0] == 400


@needs_gradio
def test_no_file_is_served_and_none_is_taken(server: Server, model: str) -> None:
    secret = "/etc/passwd"
    closed = [
        *(f"/gradio_api/file={path}" for path in (secret, model, "README.md", "%2Fetc%2Fpasswd", "..%2f..%2fpasswd")),
        *(f"/{door}{secret}" for door in ("file=", "file", "gradio_api/file", "static/../../../../..", "static/")),
        *(f"/{door}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e{secret}" for door in ("static", "assets", "")),
        f"/gradio_api/proxy={server.address}config",
        *("/gradio_api/info", "/openapi.json", "/docs", "/monitoring", "/gradio_api/runs", "/login", "/manifest.json"),
        *("/gradio_api/vibe-code", "/gradio_api/stream/a/b/c/playlist-file", "/gradio_api/custom_component/1/2/3/4"),
    ]
    for path in closed:
        status, told = server.ask("GET", path)
        assert status >= 400 and b"root:" not in told, path
    upload = b'--x\r\nContent-Disposition: form-data; name="files"; filename="last.ckpt"\r\n\r\nmodel\r\n--x--\r\n'
    for path in ("upload", "run/answer", "call/answer", "call/v2/answer", "api/answer", "component_server", "upload/"):
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        assert server.ask("POST", f"/gradio_api/{path}", upload, **headers) == (404, b"")
    assert server.ask("POST", "/gradio_api/queue/join", b"x" * 100_000)[0] == 413
    assert server.ask("POST", "/gradio_api/queue/join", **{"Transfer-Encoding": "chunked"})[0] == 411
    for path in ("/", "/config"):
        assert str(Path(model).parent).encode() not in server.ask("GET", path)[1]
    file = {"path": secret, "url": f"file://{secret}", "meta": {"_type": "gradio.FileData"}}
    assert b"root:" not in server.answer([file, "", 0, 1, 0, 1])
    assert not [path for path in server.files.rglob("*") if path.is_file()]


@needs_gradio
def test_values_that_no_page_sends_do_no_harm(server: Server) -> None:
    for data in (
        [MAN, "", 0, 10**9, 0, 1],
        [MAN, "", 0, float("nan"), 0, 1],
        [MAN, "", "all", 1, 0, 1],
        [MAN, "", 0, 1, None, 1],
        [MAN, "", 0, 1, 10**400, 1],
        [["a"], {}, 0, 1, 0, []],
        [None] * 6,
        [MAN],
        [],
    ):
        assert b"data:image/png" not in server.answer(data)
    assert b"data:image/png" in server.answer([MAN, "", 0, 1, 0, 1])


@needs_gradio
def test_nothing_was_asked_of_any_other_machine(server: Server) -> None:
    assert server.answer([MAN, "", 0, 1, 0, 1])
    assert server.outside == []


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
        Studio(load(model), "tiny").draw(**asked)


def test_only_examples_that_the_model_knows_are_shown(model: str) -> None:
    painter = load(model)
    examples = Studio(painter, "tiny").examples()
    assert examples
    assert not any(painter.conditioner.notes(example) for example in examples)


def test_without_gradio_one_sentence_names_what_brings_it(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=re.escape("pip install -e '.[demo]'")):
        demo(model, "127.0.0.1", 7860)


@needs_gradio
def test_a_port_that_is_taken_is_said_so(model: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"at 127.0.0.1, port {port}: choose another --port"):
            demo(model, "127.0.0.1", port)

"""The page's server as strangers may call it."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fixtures.serving import Server

from t2f.cli.demo_gate import MOST_UNREAD, MOST_VISITORS
from t2f.cli.demo_page import MOST, WAITING

MAN = "a man"


def test_a_flood_of_requests_is_turned_away_and_passes(server: Server) -> None:
    data = [MAN, "", 0, MOST, 0, 1]
    with ThreadPoolExecutor(16) as many:
        answers = list(many.map(lambda number: server.join(data, f"flood{number}"), range(6 * WAITING)))
    assert set(answers) == {200, 503}
    for number in (number for number, status in enumerate(answers) if status == 200):
        assert b"data:image/png" in server.ask("GET", f"/gradio_api/queue/data?session_hash=flood{number}")[1]
    assert b"data:image/png" in server.answer(data)


def test_who_fetches_nothing_is_not_drawn_for_without_end(server: Server) -> None:
    data = [MAN, "", 0, 1, 0, 1]
    faces = "/gradio_api/queue/data?session_hash=hoarder"
    assert [server.join(data, "hoarder") for _ in range(MOST_UNREAD + 2)] == [200] * MOST_UNREAD + [429] * 2
    assert server.ask("HEAD", faces) == (404, b"")
    assert server.join(data, "hoarder") == 429
    told = server.ask("GET", faces)[1]
    assert told.count(b"data:image/png") == 2 * MOST_UNREAD  # a face, and the sheet to keep
    assert server.join(data, "hoarder") == 200
    assert b"data:image/png" in server.ask("GET", faces)[1]


def test_faces_are_kept_for_a_number_of_visitors_at_most(server: Server) -> None:
    data = [MAN, "", 0, 1, 0, 1]
    assert server.join(data, "first") == 200
    for number in range(MOST_VISITORS):
        while (status := server.join(data, f"after{number}")) == 503:  # the queue is full for a moment
            time.sleep(0.05)
        assert status == 200
    assert b"data:image/png" in server.ask("GET", f"/gradio_api/queue/data?session_hash=after{number}")[1]
    assert server.ask("GET", "/gradio_api/queue/data?session_hash=first") == (404, b"")


def test_what_is_no_visitor_is_refused(server: Server) -> None:
    data = [MAN, "", 0, 1, 0, 1]
    for visitor in ("", "a b", "a" * 65, "../x", 5, None, ["a"]):
        assert server.join(data, visitor) == 400
    for question in ("", "?session_hash=", "?session_hash=..%2f", "?session_hash=a&session_hash=b"):
        assert server.ask("GET", f"/gradio_api/queue/data{question}") == (400, b"")
    for body in (b"", b"{", b"[]", b"[" * 50_000):
        assert server.ask("POST", "/gradio_api/queue/join", body)[0] == 400


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


def test_nothing_was_asked_of_any_other_machine(server: Server) -> None:
    assert server.answer([MAN, "", 0, 1, 0, 1])
    assert server.outside == []

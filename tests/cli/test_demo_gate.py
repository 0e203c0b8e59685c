"""The demo server under requests that its page never sends."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.demo_server import Server

from t2f.cli.demo_gate import MAX_BODY, MAX_SESSIONS, MAX_UNREAD
from t2f.cli.demo_page import MAX_COUNT, QUEUE_SIZE, DemoSession, build_page
from t2f.inference.load import load

MAN = "a man"
DATA = [MAN, "", 0, 1, 0, 1]
UPLOAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="empty"\r\n\r\n\r\n--x--\r\n'
MULTIPART = {"Content-Type": "multipart/form-data; boundary=x"}


def test_a_full_queue_refuses_requests_until_it_empties(server: Server) -> None:
    data = [MAN, "", 0, MAX_COUNT, 0, 1]
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda number: server.join(data, f"flood{number}"), range(6 * QUEUE_SIZE)))
    assert set(statuses) == {200, 503}
    for number in (number for number, status in enumerate(statuses) if status == 200):
        assert b"data:image/png" in server.request("GET", f"/gradio_api/queue/data?session_hash=flood{number}")[1]
    assert b"data:image/png" in server.generate(data)


def test_unread_results_of_a_session_are_limited(server: Server) -> None:
    results = "/gradio_api/queue/data?session_hash=hoarder"
    assert [server.join(DATA, "hoarder") for _ in range(MAX_UNREAD + 2)] == [200] * MAX_UNREAD + [429] * 2
    assert server.request("HEAD", results) == (404, b"")
    assert server.join(DATA, "hoarder") == 429
    content = server.request("GET", results)[1]
    assert content.count(b"data:image/png") == 2 * MAX_UNREAD  # one image and the sheet to download
    assert server.join(DATA, "hoarder") == 200
    assert b"data:image/png" in server.request("GET", results)[1]


def test_the_number_of_sessions_with_results_is_limited(server: Server) -> None:
    assert server.join(DATA, "first") == 200
    for number in range(MAX_SESSIONS):
        while (status := server.join(DATA, f"after{number}")) == 503:  # the queue is full for a moment
            time.sleep(0.05)
        assert status == 200
    assert b"data:image/png" in server.request("GET", f"/gradio_api/queue/data?session_hash=after{number}")[1]
    assert server.request("GET", "/gradio_api/queue/data?session_hash=first") == (404, b"")


def test_invalid_sessions_are_refused(server: Server) -> None:
    for session in ("", "a b", "a" * 65, "../x", 5, None, ["a"]):
        assert server.join(DATA, session) == 400
    for query in ("", "?session_hash=", "?session_hash=..%2f", "?session_hash=a&session_hash=b"):
        assert server.request("GET", f"/gradio_api/queue/data{query}") == (400, b"")
    for body in (b"", b"{", b"[]", b"[" * 50_000):
        assert server.request("POST", "/gradio_api/queue/join", body)[0] == 400


def test_no_file_is_served_and_no_upload_is_accepted(server: Server, model: str) -> None:
    secret = "/etc/passwd"
    refused = [
        *(f"/gradio_api/file={path}" for path in (secret, model, "README.md", "%2Fetc%2Fpasswd", "..%2f..%2fpasswd")),
        *(f"/{route}{secret}" for route in ("file=", "file", "gradio_api/file", "static/../../../../..", "static/")),
        *(f"/{route}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e{secret}" for route in ("static", "assets", "")),
        f"/gradio_api/proxy={server.address}config",
        *("/gradio_api/info", "/openapi.json", "/docs", "/monitoring", "/gradio_api/runs", "/login", "/manifest.json"),
        *("/gradio_api/vibe-code", "/gradio_api/stream/a/b/c/playlist-file", "/gradio_api/custom_component/1/2/3/4"),
        "/gradio_api/deep_link?session_hash=a",
    ]
    for path in refused:
        status, content = server.request("GET", path)
        assert status >= 400 and b"root:" not in content, path
    for path in ("upload", "run/answer", "call/answer", "call/v2/answer", "api/answer", "component_server", "upload/"):
        assert server.request("POST", f"/gradio_api/{path}", UPLOAD, **MULTIPART) == (404, b"")
    body = b"x" * (MAX_BODY + 1)
    assert server.request("POST", "/gradio_api/queue/join", body)[0] == 413
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    assert server.request("POST", "/gradio_api/queue/join", chunked, **{"Transfer-Encoding": "chunked"})[0] == 413
    for path in ("/", "/config"):
        assert str(Path(model).parent).encode() not in server.request("GET", path)[1]
    file = {"path": secret, "url": f"file://{secret}", "meta": {"_type": "gradio.FileData"}}
    assert b"root:" not in server.generate([file, "", 0, 1, 0, 1])
    assert not [path for path in server.files.rglob("*") if path.is_file()]


def test_invalid_values_are_answered_without_an_image(server: Server) -> None:
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
        assert b"data:image/png" not in server.generate(data)
    assert b"data:image/png" in server.generate(DATA)


def test_a_model_that_the_page_does_not_offer_is_refused(server: Server) -> None:
    for name in ("pretrained", "../tiny", None, 0, ["tiny"]):
        assert b"data:image/png" not in replace(server, model=name).generate(DATA)


def test_the_server_calls_no_other_machine(server: Server) -> None:
    assert server.generate(DATA)
    assert server.external_requests == []


@pytest.fixture
def ungated(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The page served by Gradio alone, with its strictest limits on queue and uploads."""
    pytest.importorskip("gradio", reason="gradio is missing: pip install -e '.[demo]'")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    blocks = build_page({"tiny": DemoSession(load(model), "tiny")})
    blocks.launch(server_port=port, prevent_thread_lock=True, quiet=True, max_file_size=0, share=False)
    yield Server("tiny", port, tmp_path / "files", [])
    blocks.close()


@pytest.mark.slow
def test_gradio_alone_accepts_what_the_gate_refuses(ungated: Server) -> None:
    """Evidence for the gate: drop what a later version of Gradio refuses by itself."""
    request = {"data": ["tiny", *DATA], "fn_index": ungated.generate_function, "session_hash": "session"}
    for path in ("run/answer", "api/answer"):
        status, content = ungated.request(
            "POST", f"/gradio_api/{path}", json.dumps(request).encode(), **{"Content-Type": "application/json"}
        )
        assert status == 200 and b"data:image/png" in content, path
    assert ungated.join(["a" * 10_000_000, "", 0, 1, 0, 1], "large") == 200
    for _ in range(2 * MAX_UNREAD):
        while (status := ungated.join(DATA, "hoarder")) == 503:
            time.sleep(0.05)
        assert status == 200
    content = ungated.request("GET", "/gradio_api/queue/data?session_hash=hoarder")[1]
    assert content.count(b"data:image/png") == 2 * 2 * MAX_UNREAD
    assert ungated.request("POST", "/gradio_api/upload", UPLOAD, **MULTIPART)[0] == 200
    assert ungated.request("GET", "/gradio_api/deep_link?session_hash=hoarder")[0] == 200
    assert {path.name for path in ungated.files.rglob("*") if path.is_file()} == {"empty", "state.json"}

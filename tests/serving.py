"""A page that is served, and what asks things of it."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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

    def join(self, data: list[Any], visitor: Any) -> int:
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


@contextmanager
def served(model: str, files: Path) -> Iterator[Server]:
    """`t2f demo`, ended by Ctrl-C; Gradio's own files would be in `files`."""
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
            assert select.select([process.stdout], [], [], 120)[0], "no address was printed within two minutes"
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

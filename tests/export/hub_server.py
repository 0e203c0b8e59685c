"""What the Hub's client asks for when it makes a repository, uploads a folder and downloads it, over HTTP."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Repositories as files by their names; only the user `owner`, with the token `token`, may write."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *args: object) -> None:
        pass

    def say(self, status: int, content: Any = b"", **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "X-Request-Id": "1", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:  # noqa: PLR0911  # one answer an address
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else self.chunks()
        path = self.path.partition("?")[0]
        if path == "/api/validate-yaml":
            return self.say(200, {"errors": [], "warnings": []})
        if self.headers.get("Authorization") != "Bearer token":
            return self.say(401, {"error": "Invalid username or password."})
        if path == "/api/repos/create":
            asked = json.loads(body)
            if asked.get("organization", "owner") != "owner":
                return self.say(403, {"error": "You don't have the rights to create a model under this namespace."})
            name = f"owner/{asked['name']}"
            address = {"url": f"{self.server.address}/{name}", "name": name}
            if name in self.server.repositories:
                return self.say(409, {"error": "You already created this model repo", **address})
            self.server.repositories[name] = {}
            self.server.private[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
            return self.say(200, address)
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path)
        assert found is not None, path
        name, what = found.groups()
        if what == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self.say(200, {"files": files})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.server.repositories[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            if line["key"] == "deletedFile":
                del self.server.repositories[name][line["value"]["path"]]
        return self.say(200, {"commitUrl": f"{self.server.address}/{name}/commit/{SHA}", "commitOid": SHA})

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/\w+)?", path):
            if found[1] not in self.server.repositories:
                return self.say(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            files = self.server.repositories[found[1]]
            if found[2] == "tree":
                rows = [
                    {"type": "file", "path": each, "size": len(content), "oid": SHA} for each, content in files.items()
                ]
                return self.say(200, rows)
            siblings = [{"rfilename": each} for each in files]
            return self.say(200, {"id": found[1], "sha": SHA, "siblings": siblings, "private": False, "tags": []})
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/\w+/(.+)", path):
            content = self.server.repositories[found[1]].get(found[2])
            if content is None:
                return self.say(404, b"", X_Error_Code="EntryNotFound")
            return self.say(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', X_Repo_Commit=SHA)
        return self.say(404, {"error": path})

    do_HEAD = do_GET

    def chunks(self) -> bytes:
        """A body that is sent in chunks."""
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


@contextmanager
def serve() -> Iterator[Hub]:
    """A Hub on a free port of this machine."""
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()

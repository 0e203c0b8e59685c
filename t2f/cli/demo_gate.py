"""ASGI middleware that limits what visitors can request from the demo server."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 64 * 1024  # bytes
MAX_UNREAD = 8
MAX_SESSIONS = 100
JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
# The requests of the page itself; launch() of Gradio sends the HEAD request.
ALLOWED = {
    "HEAD": "/",
    "GET": r"/|/config|/theme\.css|/favicon\.ico|/(static|assets)/.+"
    rf"|/gradio_api/(startup-events|theme\.css|heartbeat/\w+)|{DATA}",
    "POST": JOIN,
}
SESSION = "[0-9A-Za-z_]{1,64}"
COMPLETED = b'"msg":"process_completed"'


class RequestGate:
    """Middleware that passes on the requests of the page and limits the results that wait for a session.

    Gradio refuses by itself to serve files, to leave its folders and to proxy other addresses. Gradio 6.31 accepts the
    following requests, as `test_gradio_alone_accepts_what_the_gate_refuses` shows, so the gate refuses them:

    - `/run`, `/api` and `/call` generate images although their event is private. The first two bypass the queue.
    - `/upload` and `/deep_link` write files, also with `launch(max_file_size=0)`.
    - A request body may have any size.
    - A result waits in memory until it is fetched. The queue limits neither the results of a session nor, below 2,000,
      the sessions. The gate allows `MAX_UNREAD` results for each of `MAX_SESSIONS` sessions. A session is any name that
      a client chooses, so the oldest session is dropped for a new one.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        self.unread: Counter[str] = Counter()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif not re.fullmatch(ALLOWED.get(scope.get("method", ""), "(?!)"), scope["path"]):
            await respond(404, send)
        elif scope["path"] == JOIN:
            await self.join(scope, receive, send)
        elif scope["path"] == DATA:
            await self.fetch(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def join(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on a request for images unless its body is too large or the session has too many unread results."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
            if len(body) > MAX_BODY:
                return await respond(413, send)
        try:
            session = json.loads(body)["session_hash"]
        except (ValueError, KeyError, TypeError, RecursionError):
            session = None
        if not isinstance(session, str) or not re.fullmatch(SESSION, session):
            return await respond(400, send)
        if self.unread[session] >= MAX_UNREAD:
            return await respond(429, send)
        self.unread[session] += 1
        if len(self.unread) > MAX_SESSIONS:
            del self.unread[next(iter(self.unread))]
        buffered: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return buffered.pop() if buffered else await receive()

        async def send_and_uncount(message: Message) -> None:
            if message.get("status", 200) != 200:  # for example, the queue is full
                self.uncount(session, 1)
            await send(message)

        await self.app(scope, replay, send_and_uncount)

    async def fetch(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass on the results of a session and count them as read."""
        query = re.fullmatch(f"session_hash=({SESSION})".encode(), scope.get("query_string", b""))
        if query is None:
            return await respond(400, send)
        session = query[1].decode()
        if session not in self.unread:
            return await respond(404, send)

        async def send_and_uncount(message: Message) -> None:
            await send(message)
            self.uncount(session, message.get("body", b"").count(COMPLETED))

        await self.app(scope, receive, send_and_uncount)

    def uncount(self, session: str, count: int) -> None:
        self.unread[session] -= count
        if self.unread[session] <= 0:
            del self.unread[session]


async def respond(status: int, send: Send) -> None:
    """Send an empty response."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})

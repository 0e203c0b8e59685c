"""What stands between the page's server and its visitors."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_REQUEST = 64 * 1024
MOST_UNREAD = 8
MOST_VISITORS = 100
JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
# What the page itself asks its server for.
OPEN = {
    "GET": r"/|/config|/theme\.css|/favicon\.ico|/(static|assets)/.+"
    rf"|/gradio_api/(startup-events|theme\.css|heartbeat/\w+)|{DATA}",
    "POST": JOIN,
}
VISITOR = "[0-9A-Za-z_]{1,64}"
COMPLETED = b'"msg":"process_completed"'


class RequestGate:
    """Lets through what the page needs; to all else there is no answer.

    Gradio's server can do more than this page asks of it: serve files, take uploads, fetch other addresses. What is
    closed here needs no trust in how well it is guarded there. It also keeps a visitor's faces until they are fetched:
    who asks for more than `MOST_UNREAD` times without that is turned away. A visitor is whatever name a browser gives
    itself, so no more than `MOST_VISITORS` are remembered.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app
        self.unread: Counter[str] = Counter()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        status = 200 if scope["type"] == "lifespan" else refusal(scope)
        if status != 200:
            await refuse(status, send)
        elif scope.get("path") == JOIN:
            await self.join(scope, receive, send)
        elif scope.get("path") == DATA:
            await self.fetch(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def join(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a visitor ask for a drawing, unless too many wait for him."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        try:
            visitor = json.loads(body)["session_hash"]
        except (ValueError, KeyError, TypeError, RecursionError):
            visitor = None
        if not isinstance(visitor, str) or not re.fullmatch(VISITOR, visitor):
            return await refuse(400, send)
        if self.unread[visitor] >= MOST_UNREAD:
            return await refuse(429, send)
        self.unread[visitor] += 1
        if len(self.unread) > MOST_VISITORS:
            del self.unread[next(iter(self.unread))]
        read: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return read.pop() if read else await receive()

        async def told(message: Message) -> None:
            if message.get("status", 200) != 200:  # such as that the queue is full
                self.forget(visitor, 1)
            await send(message)

        await self.app(scope, again, told)

    async def fetch(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a visitor's faces on, and count them as they go."""
        visitor = visitor_of(scope)
        if visitor not in self.unread:
            return await refuse(404, send)

        async def counted(message: Message) -> None:
            await send(message)
            self.forget(visitor, message.get("body", b"").count(COMPLETED))

        await self.app(scope, receive, counted)

    def forget(self, visitor: str, count: int) -> None:
        """So many drawings no longer wait for a visitor."""
        self.unread[visitor] -= count
        if self.unread[visitor] <= 0:
            del self.unread[visitor]


async def refuse(status: int, send: Send) -> None:
    """Answer with a status and nothing else."""
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


def refusal(scope: Message) -> int:
    """The HTTP status by which a request is refused, or 200."""
    method = "GET" if scope.get("method") == "HEAD" else scope.get("method", "")
    if ".." in scope["path"] or not re.fullmatch(OPEN.get(method, "(?!)"), scope["path"]):
        return 404
    if scope["path"] == DATA and scope["method"] == "HEAD":
        return 404
    if scope["path"] == DATA and not visitor_of(scope):
        return 400
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if b"transfer-encoding" in headers or not length.isdigit():
        return 411
    return 200 if int(length) <= LARGEST_REQUEST else 413


def visitor_of(scope: Message) -> str:
    """Who asks for faces, or nothing if the request does not say."""
    found = re.fullmatch(f"session_hash=({VISITOR})".encode(), scope.get("query_string", b""))
    return found[1].decode() if found else ""

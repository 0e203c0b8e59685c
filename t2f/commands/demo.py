"""A web page on which anyone can draw."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from t2f.commands.generate import by, named, tell
from t2f.commands.page import STYLE, Studio, page
from t2f.errors import UserError
from t2f.models import load

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_REQUEST = 64 * 1024
# What the page itself asks its server for.
OPEN = {
    "GET": r"/|/config|/theme\.css|/favicon\.ico|/(static|assets)/.+"
    r"|/gradio_api/(startup-events|theme\.css|queue/data|heartbeat/\w+)",
    "POST": r"/gradio_api/queue/join",
}


def demo(model: str, host: str, port: int) -> None:
    """Serve the page until Ctrl-C. The model is the one named here: visitors cannot name another."""
    try:
        import gradio as gr
    except ModuleNotFoundError as error:
        raise UserError("The page needs gradio: pip install -e '.[demo]' brings it.") from error

    blocks = page(Studio(load(model), named(model)))
    try:
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            mcp_server=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            app_kwargs={"middleware": [(Gate, (), {})], "openapi_url": None},
            theme=gr.themes.Default(primary_hue="orange", font=["system-ui", "sans-serif"]),
            css=STYLE,
        )
    except OSError as error:
        raise UserError(
            f"No page can be served at {host}, port {port}: choose another --port, or a --host of this machine."
        ) from error
    tell(f"Faces from words, drawn by {by(model)}: {address}\nCtrl-C ends it.")
    blocks.block_thread()


class Gate:
    """Lets through what the page needs; to all else there is no answer.

    Gradio's server can do more than this page asks of it: serve files, take uploads, fetch other addresses. What is
    closed here needs no trust in how well it is guarded there.
    """

    def __init__(self, app: Callable[[Message, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        status = 200 if scope["type"] == "lifespan" else refusal(scope)
        if status == 200:
            await self.app(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})


def refusal(scope: Message) -> int:
    """The HTTP status by which a request is refused, or 200."""
    method = "GET" if scope.get("method") == "HEAD" else scope.get("method", "")
    if ".." in scope["path"] or not re.fullmatch(OPEN.get(method, "(?!)"), scope["path"]):
        return 404
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"0")
    if b"transfer-encoding" in headers or not length.isdigit():
        return 411
    return 200 if int(length) <= LARGEST_REQUEST else 413

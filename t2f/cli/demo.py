"""A web page on which anyone can draw."""

from __future__ import annotations

import signal

from t2f.cli.demo_gate import MOST_VISITORS, RequestGate
from t2f.cli.demo_page import STYLE, DemoSession, page
from t2f.cli.generate import by, named, tell
from t2f.inference.load import load
from t2f.utils.errors import UserError
from t2f.utils.extras import install_command


def demo(model: str, host: str, port: int) -> None:
    """Serve the page until Ctrl-C. The model is the one named here: visitors cannot name another."""
    try:
        import gradio as gr
    except ModuleNotFoundError as error:
        raise UserError(f"The page needs gradio: {install_command('demo')} installs it.") from error

    blocks = page(DemoSession(load(model), named(model)))
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
            app_kwargs={"middleware": [(RequestGate, (), {})], "openapi_url": None},
            theme=gr.themes.Default(primary_hue="orange", font=["system-ui", "sans-serif"]),
            css=STYLE,
        )
    except OSError as error:
        raise UserError(
            f"No page can be served at {host}, port {port}: choose another --port, or a --host of this machine."
        ) from error
    # Gradio's own is 2,000, of whom each may leave faces that are never fetched.
    blocks._queue.pending_messages_per_session.max_size = MOST_VISITORS
    tell(f"Faces from words, drawn by {by(model)}: {address}\nCtrl-C ends it.")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Gradio closes the server on it: no failure, status 0
    blocks.block_thread()

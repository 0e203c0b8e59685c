"""The command `t2f demo`."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from t2f.cli.demo_gate import MAX_SESSIONS, RequestGate
from t2f.cli.demo_page import STYLE, DemoSession, build_page
from t2f.cli.generate import describe_model, model_name, print_result
from t2f.inference.load import load
from t2f.utils.errors import UserError, require
from t2f.utils.extras import needs_extra
from t2f.utils.private_api import limit_unread_sessions


def demo(models: Sequence[str], host: str, port: int) -> None:
    """Serve the demo page until Ctrl-C.

    Args:
        models: what `t2f.load` accepts, at least one. Visitors can choose among these only.
        host: the network interface to listen on.
        port: the port to listen on.

    Raises:
        UserError: gradio is missing, a model cannot be loaded, or the page cannot be served.
    """
    with needs_extra("The demo page", "demo"):
        import gradio as gr

    sessions = {model_name(model): DemoSession(load(model), model_name(model)) for model in models}
    require(
        len(sessions) == len(set(models)),
        "Two models would have the same name on the page: give folders of other names.",
    )
    blocks = build_page(sessions)
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
            f"The page cannot be served at {host}, port {port}: choose another --port, or a --host of this machine."
        ) from error
    limit_unread_sessions(blocks, MAX_SESSIONS)
    names = " and ".join(map(describe_model, models))
    print_result(f"Demo page of {names}: {address}\nPress Ctrl-C to stop.")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Gradio closes the server on it, and the exit status is 0
    blocks.block_thread()

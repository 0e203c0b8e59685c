"""Time the demo page: python experiments/demo/measure.py [--model MODEL]

Measures in a browser, with one thread, the time from a click to all faces, and from opening the page to its first ones.
"""

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from t2f import load

HERE = Path(__file__).parent
CLICKS = 30
VISITS = 5
ALL_FACES = """([title, count]) => {
    const faces = [...document.querySelectorAll(".faces img")];
    return faces.length == count && faces.every((face) => face.alt == title && face.complete);
}"""


@contextmanager
def served(model: str) -> Iterator[str]:
    """Start the page and return its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "t2f", "demo", "--model", model, "--port", str(port)]
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=threads) as process:
        assert process.stdout is not None
        if "http" not in process.stdout.readline():
            raise SystemExit("The page did not start.")
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def opened(browser: Browser, address: str) -> tuple[Page, float]:
    """Open the page with an empty cache; return it and the seconds until its first faces are shown."""
    page = browser.new_context(viewport={"width": 1200, "height": 780}).new_page()
    start = time.perf_counter()
    page.goto(address)
    page.locator(".faces img").nth(7).wait_for()
    return page, time.perf_counter() - start


def answered(page: Page, description: str, count: int) -> float:
    """Click on the button and return the seconds until all faces are shown."""
    page.locator("#description textarea").fill(description)
    start = time.perf_counter()
    page.locator("#generate").click()
    page.wait_for_function(ALL_FACES, arg=[description, count])
    return time.perf_counter() - start


def clicks(page: Page, count: int) -> list[float]:
    """Generate `count` faces from each example in turn; return the seconds of each click."""
    examples = page.locator(".examples button").all_inner_texts()
    page.locator("#count input[type=number]").fill(str(count))
    answered(page, "a man", count)
    return [answered(page, examples[number % len(examples)], count) for number in range(CLICKS)]


def take_picture(page: Page) -> None:
    """Save a screenshot of eight faces between two descriptions."""
    page.locator("#count input[type=number]").fill("8")
    description, other = page.locator(".examples button").first.inner_text(), "a bald man with a beard"
    answered(page, description, 8)
    page.locator("#other textarea").fill(other)
    page.locator("#weight input[type=number]").fill("0.4")
    page.wait_for_function(ALL_FACES, arg=[f"{description}  ->  {other}, 40%", 8])
    page.screenshot(path=HERE / "screenshot.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pretrained")
    model = parser.parse_args().model
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        raise SystemExit("Chromium is missing: apt-get install chromium.")
    with served(model) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        seconds = {"opening the page, with 8 faces": [opened(browser, address)[1] for _ in range(VISITS)]}
        page, _ = opened(browser, address)
        for count in (1, 8, 16):
            seconds[f"a click, {count} face{'s' if count > 1 else ''}"] = clicks(page, count)
        take_picture(page)
        versions = {"chromium": browser.version, **{name: version(name) for name in ("gradio", "torch")}}
        browser.close()
    machine = f"1 thread of {os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}"
    seen = load(model).images_seen
    results = {
        "model": Path(model).name,
        "images seen": seen,
        "machine": machine,
        "versions": versions,
        "seconds": seconds,
    }
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    lines = [
        f"Written by `experiments/demo/measure.py` on {date.today()}; model `{Path(model).name}` after {seen:,} "
        f"images; {machine}; {', '.join(f'{name} {number}' for name, number in versions.items())}. Seconds, measured "
        "in a browser on the same machine.",
        "",
        "| | N | median | slowest |",
        "|---|---:|---:|---:|",
        *(
            f"| {what} | {len(times)} | {statistics.median(times):.2f} | {max(times):.2f} |"
            for what, times in seconds.items()
        ),
        "",
    ]
    (HERE / "results.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()

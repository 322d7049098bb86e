"""Take the README's picture of a report: take_screenshot.py analysis/report.html docs/images/report.png [TABLE]."""

import os
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import sync_playwright


def take(report: Path, picture: Path, table: str) -> None:
    """Open the report in Chromium with one table chosen, and write what is on the screen as a PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1010}, color_scheme="light")
        page.goto(f"{report.resolve().as_uri()}#t={quote(table, safe='')}")
        page.wait_for_selector(".graph .node")
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if len(arguments) not in (2, 3):
        sys.exit(__doc__)
    take(Path(arguments[0]), Path(arguments[1]), arguments[2] if arguments[2:] else "procedurelog")

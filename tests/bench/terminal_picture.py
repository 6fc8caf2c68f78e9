#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The picture of a terminal, for documents: what a command has drawn after some
seconds, as tmux captures it and a browser shows it.

    terminal_picture.py picture.png [--columns 100] [--rows 16] [--seconds 10]
        -- COMMAND...
"""

import argparse
import html
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from chromium import Chromium  # noqa: E402  of the folder above
from terminal_screen import Screen  # noqa: E402

CELL = (9.03, 20)  # pixels, of the font at 15 px
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341"}
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #0d1117; }}
pre {{ margin: 0; padding: 14px 16px; color: #e6edf3;
       font: 15px/20px "DejaVu Sans Mono", monospace; }}
</style><pre>{}</pre>"""


def styled(text):
    """A captured screen as HTML: faint and coloured text are all there is."""
    parts, faint, colour = [], False, None
    for piece in re.split(r"(\x1b\[[\d;]*m)", text):
        codes = re.fullmatch(r"\x1b\[([\d;]*)m", piece)
        if codes is None:
            style = ("opacity: .6;" if faint else "") + (
                f"color: {colour};" if colour else "")
            parts.append(f'<span style="{style}">{html.escape(piece)}</span>')
            continue
        for code in (codes.group(1) or "0").split(";"):
            if code == "0":
                faint, colour = False, None
            elif code in ("2", "22"):
                faint = code == "2"
            elif code == "39" or code in COLOURS:
                colour = COLOURS.get(code)
    return "".join(parts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("picture", type=Path)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10,
                        help="from when the panel is there")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    with Screen(arguments.columns, arguments.rows) as screen:
        screen.type("clear; " + " ".join(arguments.command))
        screen.wait("the panel", lambda: any(
            line.startswith("worker ") for line in screen.lines()))
        time.sleep(arguments.seconds)
        lines = screen.lines(escapes=True)
    with tempfile.TemporaryDirectory() as folder, Chromium() as browser:
        page = Path(folder) / "screen.html"
        page.write_text(PAGE.format(styled("\n".join(lines))))
        browser.screen(int(CELL[0] * arguments.columns) + 32,
                       CELL[1] * len(lines) + 28, dark=True)
        browser.open(page)
        browser.screenshot(arguments.picture)


if __name__ == "__main__":
    main()

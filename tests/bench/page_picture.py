#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The picture of a page, for documents: its top as a browser shows it, or one
element of it, such as the figure c1-elapsed of a report.

    page_picture.py report.html picture.png [--width 1280] [--height 1400] [--dark]
                    [--element ID]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from chromium import Chromium  # noqa: E402  of the folder above


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1400)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--element")
    arguments = parser.parse_args()
    with Chromium() as browser:
        browser.screen(arguments.width, arguments.height, arguments.dark)
        browser.open(arguments.page)
        browser.screenshot(arguments.picture, arguments.element)


if __name__ == "__main__":
    main()

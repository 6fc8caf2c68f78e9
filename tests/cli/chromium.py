# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium for tests, driven over its debugging protocol through two
pipes: nothing but the standard library, no port."""

import base64
import json
import os
import selectors
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

DEADLINE = 120  # seconds, for a machine that does other things too


class PageError(AssertionError):
    """The script that was evaluated threw."""


class Chromium:
    """One browser with one page. Everything that the page asks the network for,
    writes to its console or throws is kept."""

    def __init__(self):
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command_out, self._commands = os.pipe()
        self._answers, answer_in = os.pipe()
        program = shutil.which("chromium")
        if program is None:
            raise RuntimeError("no chromium; deploy/apt-packages.txt has it")

        def connect():  # the browser reads from 3 and writes to 4
            # Both out of the way first: one of them may be 3 or 4.
            source, target = os.dup(command_out), os.dup(answer_in)
            source, target = os.dup2(source, 63), os.dup2(target, 64)
            os.dup2(source, 3)
            os.dup2(target, 4)

        self._process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-extensions",
             "--force-device-scale-factor=1", "--remote-debugging-pipe",
             f"--user-data-dir={self._profile.name}", "about:blank"],
            close_fds=False, preexec_fn=connect, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(command_out)
        os.close(answer_in)
        self._buffer = b""
        self._next = 0
        self._session = None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")
        self._session = self.call("Target.attachToTarget", flatten=True,
                                  targetId=target["targetId"])["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def close(self):
        os.close(self._commands)
        self._process.kill()
        self._process.wait()
        os.close(self._answers)
        self._profile.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _receive(self, end):
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while b"\0" not in self._buffer:
                if not selector.select(max(0, end - time.monotonic())):
                    raise AssertionError(f"no answer in {DEADLINE} s")
                read = os.read(self._answers, 1 << 20)
                if not read:
                    raise AssertionError("the browser has ended")
                self._buffer += read
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        """The result of one command of the protocol."""
        self._next += 1
        number = self._next
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + DEADLINE
        while True:
            answer = self._receive(end)
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def screen(self, width, height, dark=False):
        """The size of the window in pixels, and the scheme that is preferred."""
        self.call("Emulation.setDeviceMetricsOverride", width=width,
                  height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme",
             "value": "dark" if dark else "light"}])

    def open(self, path):
        """Loads a file, or an address of http, to its end."""
        self.events.clear()
        url = (path if str(path).startswith("http:")
               else Path(path).resolve().as_uri())
        self.call("Page.navigate", url=url)
        end = time.monotonic() + DEADLINE
        while not any(event["method"] == "Page.loadEventFired"
                      for event in self.events):
            self.events.append(self._receive(end))

    def evaluate(self, expression):
        """The value of a JavaScript expression, or of its promise."""
        answer = self.call("Runtime.evaluate", expression=expression,
                           returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise PageError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def click(self, selector):
        """A real click into the middle of the one element."""
        x, y = self.evaluate(f"""(() => {{
            const found = document.querySelectorAll({json.dumps(selector)});
            if (found.length !== 1) throw Error("found " + found.length);
            found[0].scrollIntoView({{block: "center", behavior: "instant"}});
            const box = found[0].getBoundingClientRect();
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y,
                      button="left", clickCount=1)

    def type(self, text):
        """Into what has the focus."""
        self.call("Input.insertText", text=text)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def complaints(self):
        """What went to the console as an error or warning, or was thrown."""
        found = []
        for event in self.events:
            what = event.get("params", {})
            if event["method"] == "Runtime.exceptionThrown":
                found.append(what["exceptionDetails"])
            elif event["method"] == "Runtime.consoleAPICalled" and (
                    what["type"] in ("error", "warning", "assert")):
                found.append(what["args"])
            elif event["method"] == "Log.entryAdded":
                found.append(what["entry"])
        return found

    def requests(self):
        """The addresses that were asked for."""
        return [event["params"]["request"]["url"] for event in self.events
                if event["method"] == "Network.requestWillBeSent"]

    def screenshot(self, path, element=None):
        """What the window shows, or the element of that id, whole."""
        clip = {}
        if element is not None:
            x, y, width, height = self.evaluate(f"""(() => {{
                const box = document.getElementById({json.dumps(element)})
                                .getBoundingClientRect();
                return [box.x + scrollX, box.y + scrollY, box.width, box.height];
            }})()""")
            clip = {"captureBeyondViewport": True,
                    "clip": {"x": x, "y": y, "width": width, "height": height,
                             "scale": 1}}
        picture = self.call("Page.captureScreenshot", format="png", **clip)
        Path(path).write_bytes(base64.b64decode(picture["data"]))

    def print(self, path):
        """As the printer gets it, on A4."""
        pages = self.call("Page.printToPDF", preferCSSPageSize=True,
                          printBackground=True)
        Path(path).write_bytes(base64.b64decode(pages["data"]))

# SPDX-License-Identifier: Apache-2.0
"""A server that answers as MLflow's tracking interface does, or not at all."""

import contextlib
import json
import socket
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/api/2.0/mlflow/"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"


class Double:
    """Records what it is asked. `misbehave(number, path)` says what happens to
    a call, the first of which is 0: None answers it as MLflow would, a number is
    the status of an error, "hang" never answers."""

    def __init__(self, misbehave=lambda number, path: None):
        self.calls, self.files, self.headers = [], {}, []
        self.experiments = {}
        self._misbehave = misbehave
        self._lock = threading.Lock()
        self._number = 0
        self._closed = threading.Event()
        self._connections = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                double.handle(self)

            do_GET = do_POST = do_PUT = handle_one

            def setup(self):
                double._connections.append(self.request)
                super().setup()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self):
        """Dies: nothing listens there any more."""
        if not self._closed.is_set():
            self._closed.set()
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    # ---- Answers ----------------------------------------------------------

    def handle(self, request):
        length = int(request.headers.get("Content-Length", 0))
        body = request.rfile.read(length)
        with self._lock:
            number, self._number = self._number, self._number + 1
        wrong = self._misbehave(number, request.path)
        if wrong == "hang":
            self._closed.wait(60)
            request.close_connection = True
            return
        with self._lock:
            status, answer = (wrong, {"message": "planted"}) if wrong else (
                self._answer(request, body))
        data = json.dumps(answer).encode()
        with contextlib.suppress(OSError):
            request.send_response(status)
            if wrong in (301, 302):
                request.send_header("Location", self.url + "/elsewhere")
            request.send_header("Content-Length", str(len(data)))
            request.end_headers()
            request.wfile.write(data)

    def _answer(self, request, body):
        self.headers.append(dict(request.headers))
        url = urllib.parse.urlsplit(request.path)
        if request.command == "PUT":
            self.files[urllib.parse.unquote(url.path[len(ARTIFACTS):])] = body
            return 200, {}
        call = url.path[len(PREFIX):]
        asked = json.loads(body) if body else dict(
            urllib.parse.parse_qsl(url.query))
        self.calls.append((call, asked, time.time()))
        return {"experiments/get-by-name": self._by_name,
                "experiments/create": self._create,
                "runs/create": self._run}.get(
                    call, lambda asked: (200, {}))(asked)

    def _by_name(self, asked):
        name = asked["experiment_name"]
        if name not in self.experiments:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST",
                         "message": "none"}
        return 200, {"experiment": {"experiment_id": self.experiments[name]}}

    def _create(self, asked):
        self.experiments[asked["name"]] = "7"
        return 200, {"experiment_id": "7"}

    def _run(self, asked):
        return 200, {"run": {"info": {
            "run_id": "r1", "artifact_uri": "mlflow-artifacts:/7/r1/artifacts"}}}

    # ---- What it was told ---------------------------------------------------

    def bodies(self, call):
        return [asked for name, asked, _ in self.calls if name == call]

    def metrics(self):
        """tag -> its (step, value, timestamp), as they came."""
        found = {}
        for body in self.bodies("runs/log-batch"):
            for one in body.get("metrics", ()):
                found.setdefault(one["key"], []).append(
                    (one["step"], one["value"], one["timestamp"]))
        return found

    def params(self):
        return {one["key"]: one["value"]
                for body in self.bodies("runs/log-batch")
                for one in body.get("params", ())}

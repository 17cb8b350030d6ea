"""The page of runs that go on: a server for this machine alone."""

import hashlib
import http.server
import threading
import time
from typing import Any

from keras_l2o.dashboard import site
from keras_l2o.dashboard.gather import Gatherer

#: The only address that is listened at: other machines cannot reach it.
HOST = "127.0.0.1"
#: Seconds for which what was gathered is taken for what there is.
FRESH = 1.0

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
}
#: Nothing but the page's own files, whatever the name of a run contains.
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src data:"


class Server(http.server.ThreadingHTTPServer):
    """Serves the page, and new data whenever it asks for them.

    Args:
        gatherer: `Gatherer` of the directories.
        port: Int, `0` for any that is free. Defaults to `0`.

    Raises:
        ValueError: The port cannot be had.

    Example:

    >>> gatherer = keras_l2o.dashboard.Gatherer(["held_out/min-max/1"])
    >>> with keras_l2o.dashboard.Server(gatherer) as server:
    ...     server.address  # `server.serve_forever()` serves it
    'http://127.0.0.1:...'
    """

    daemon_threads = True

    def __init__(self, gatherer: Gatherer, port: int = 0) -> None:
        self.gatherer = gatherer
        self._lock = threading.Lock()
        self._body, self._digest, self._at = b"", "", -FRESH
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ValueError(
                f"Port {port} cannot be had ({error}). Give another with "
                "--port, or --port=0 for any that is free."
            ) from error

    @property
    def address(self) -> str:
        """Where the page is: a string that begins with `"http://"`."""
        return f"http://{HOST}:{self.server_port}"

    def body(self) -> tuple[bytes, str]:
        """The data now, as JSON, and a digest of them.

        Returns:
            A pair of bytes and a string.
        """
        with self._lock:
            if time.monotonic() - self._at >= FRESH:
                data = self.gatherer.data(live=True)
                self._body = site.text(data)
                self._digest = hashlib.sha256(self._body).hexdigest()[:16]
                self._at = time.monotonic()
            return self._body, self._digest

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is no error.

        Args:
            request: The connection.
            client_address: Where it is from.
        """


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    # A connection for each request: none outlives the server.
    protocol_version = "HTTP/1.0"

    def do_GET(self):
        # A page of another site could else reach this one under its own name.
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in (HOST, "localhost"):
            self._send(421, b"", ".html")
            return
        name = self.path.partition("?")[0].lstrip("/") or "index.html"
        if name == "data.json":
            body, digest = self.server.body()
            tag = f'"{digest}"'
            same = self.headers.get("If-None-Match") == tag
            self._send(
                304 if same else 200, b"" if same else body, ".json", tag
            )
        elif name == site.DATA:
            self._send(200, site.script(self.server.body()[0]), ".js")
        elif name in site.FILES:
            self._send(200, site.asset(name), name)
        else:
            self._send(404, b"There is no such page.\n", ".txt")

    def _send(self, status, body, name, tag=None):
        self.send_response(status)
        suffix = name[name.rfind(".") :]
        kind = _TYPES.get(suffix, "text/plain; charset=utf-8")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        if tag:
            self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Nothing is printed of each request."""

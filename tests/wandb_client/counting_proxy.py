"""A server in front of another: counts the requests that reach it, and refuses them when it is told to."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class CountingProxy:
    """Hands requests on to a port of this machine, for as long as the block lasts.

    Args:
        port: Of the server behind it.
    """

    def __init__(self, port: int) -> None:
        self.counts: Counter[str] = Counter()
        """Requests, by path."""
        self.refusal: int | None = None
        """The status that every request gets instead of an answer."""
        self.change: Callable[[bytes], bytes] = bytes
        """What is made of each answer's body."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _hand_on(self) -> None:
                proxy.counts[self.path] += 1
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if proxy.refusal is not None:
                    self._answer(proxy.refusal, {"Content-Type": "text/plain"}, b"Have patience.")
                    return
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                try:
                    connection.request(self.command, self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    self._answer(answer.status, dict(answer.getheaders()), proxy.change(answer.read()))
                finally:
                    connection.close()

            do_GET = do_POST = do_PUT = _hand_on  # noqa: N815 - the names that http.server calls

            def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

"""A proxy that refuses, and records, whatever it is asked for."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class RecordingProxy:
    """A proxy of this machine, for as long as the block lasts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """What it was asked for."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def _refuse(self) -> None:
                proxy.asked.append(f"{self.command} {self.path}")
                self.send_error(502)

            do_CONNECT = do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = _refuse  # noqa: N815 - http.server's names

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def variables(self) -> dict[str, str]:
        """Names it in both cases of letters, and W&B's client's own; no host is spared."""
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return {**dict.fromkeys((*names, "WANDB_HTTP_PROXY"), url), "no_proxy": "", "NO_PROXY": ""}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

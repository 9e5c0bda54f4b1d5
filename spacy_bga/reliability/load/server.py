"""A small server of one shared pipeline, each connection in a thread of its own, as behind an endpoint."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_bga.corpus.texts import make_doc
from spacy_bga.errors import BGAError
from spacy_bga.reliability.subject import entities_of

if TYPE_CHECKING:
    from spacy.language import Language

PLACE = "/entities"
MAX_BODY = 4_000_000  # bytes
PATIENCE = 5  # seconds without a byte of a request


class EntityServer(ThreadingHTTPServer):
    """Answers `POST /entities` with `{"text": ...}` by `{"entities": [[start, end, label], ...]}`, for this machine.

    nlp (Language): The pipeline. zones (bool): Whether each text gets a memory zone, so that the vocabulary doesn't
        grow. A zone is the vocabulary's, not a thread's: the texts then take turns. Else they are tagged at once.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, nlp: Language, *, zones: bool):
        super().__init__(("127.0.0.1", 0), _Handler)
        self._nlp = nlp
        self._turn = threading.Lock() if zones else None

    def tag(self, text: Any) -> list[Any]:
        """RETURNS (list[Any]): The entities of a text. Raises a BGAError if it is none."""
        with ExitStack() as stack:
            if self._turn is not None:
                stack.enter_context(self._turn)
                stack.enter_context(self._nlp.memory_zone())
            return entities_of(self._nlp(make_doc(self._nlp, text)))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that has gone away is none of the server's errors."""


class _Handler(BaseHTTPRequestHandler):
    server: EntityServer
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if self.path != PLACE:
            self._answer(404, {"error": f"There is nothing but {PLACE}"})
        elif not size.isdecimal():
            self._answer(411, {"error": "How long is it?"})
        elif int(size) > MAX_BODY:
            self._answer(413, {"error": f"It has more than {MAX_BODY:,} bytes"})
        else:
            self._answer(*self._tag(self.rfile.read(int(size))))

    def _tag(self, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            text = json.loads(body)["text"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return 400, {"error": 'It should be {"text": ...}'}
        try:
            return 200, {"entities": self.server.tag(text)}
        except BGAError as error:
            return 422, {"error": str(error)}

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        if status in (404, 411, 413):  # what of the request has not been read must not be taken for the next one
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the clients tell what they got."""


def serve(pipeline: Path, zones: bool, port: Any) -> None:
    """Serve until the process is ended.

    pipeline (Path): The pipeline's folder. zones (bool): See `EntityServer`.
    port (Connection): Gets the port where the server listens.
    """
    import spacy
    import torch

    torch.set_num_threads(1)
    server = EntityServer(spacy.load(pipeline), zones=zones)
    port.send(server.server_address[1])
    server.serve_forever()

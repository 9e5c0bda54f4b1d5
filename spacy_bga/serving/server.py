"""The application on one machine, by uvicorn. Needs the extra `serve`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from importlib.util import find_spec

from spacy_bga.errors import BGAError, Errors
from spacy_bga.serving.limits import Limits

PATIENCE = 60  # seconds for requests that were accepted, at the end


def listen(host: str, port: int) -> socket.socket:
    """RETURNS (socket): A socket to serve at; with the port 0, at any that is free. Raises a BGAError if it's taken."""
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise BGAError(Errors.B811.format(host=host, port=port, reason=error.strerror)) from error


def serve(
    pipeline: str,
    limits: Limits | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    started: Callable[[str], object] = print,
) -> None:
    """Serve a pipeline until SIGTERM or Ctrl+C; what was accepted is then answered first.

    pipeline (str): Its folder, or its package. limits (Optional[Limits]): What is taken; None: the defaults.
    host (str), port (int): Where to listen. started (Callable): Told the address, once it is loaded.
    RAISES (BGAError): There is no such pipeline, the port is taken, or a package is missing.
    """
    check_packages()
    import uvicorn

    from spacy_bga.annotation.tagger import Tagger
    from spacy_bga.serving.application import build_application

    with listen(host, port) as place:
        app = build_application(Tagger(pipeline), limits)
        started(f"http://{host}:{place.getsockname()[1]}")
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=PATIENCE)
        uvicorn.Server(config).run([place])


def check_packages() -> None:
    """Raise a BGAError if the extra is missing."""
    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        raise BGAError(Errors.B810.format(packages=", ".join(missing)))

"""The same application as a deployment of Ray Serve: several replicas, on one machine or on a cluster."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from spacy_bga.ray_session import ray_session
from spacy_bga.serving.limits import Limits
from spacy_bga.serving.server import PATIENCE, check_packages


def deployment(pipeline: str, limits: Limits, replicas: int) -> Any:
    """Make the application for Ray Serve.

    pipeline (str): The folder or package, which every node has to reach. limits (Limits): Of each replica.
    replicas (int): How many, of one processor each.
    RETURNS (Application): For `serve.run`.
    """
    from ray import serve

    def build() -> Any:
        from spacy_bga.annotation.tagger import Tagger
        from spacy_bga.serving.application import build_application

        return build_application(Tagger(pipeline), limits)

    served: Any = serve.deployment(
        serve.ingress(build)(),  # type: ignore[arg-type]
        name="spacy_bga",
        num_replicas=replicas,
        ray_actor_options={"num_cpus": 1},
        # The application refuses what is too much, with 429; Ray shall not hold it back before.
        max_ongoing_requests=2 * limits.waiting,
        graceful_shutdown_timeout_s=PATIENCE,
    )
    return served.bind()


def serve_on_ray(
    pipeline: str,
    limits: Limits | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    replicas: int = 1,
    started: Callable[[str], object] = print,
) -> None:
    """Serve a pipeline by Ray Serve until SIGTERM or Ctrl+C.

    pipeline (str): Its folder, or its package. limits (Optional[Limits]): Of each replica; None: the defaults.
    host (str), port (int): Where to listen. replicas (int): How many. started (Callable): Told the address.
    RAISES (BGAError): A package is missing.
    """
    check_packages()
    with ray_session(replicas):
        from ray import serve

        ended = threading.Event()
        for sort in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sort, lambda *_: ended.set())
        serve.start(http_options={"host": host, "port": port})
        serve.run(deployment(pipeline, limits or Limits(), replicas))
        started(f"http://{host}:{port}")
        ended.wait()
        serve.shutdown()

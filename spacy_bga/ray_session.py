"""A session of Ray: the cluster that RAY_ADDRESS names, or else one of this machine alone, for as long as it is needed.

Needs the extra `ray`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from spacy_bga.errors import BGAError, Errors

SETTINGS = {
    "RAY_worker_niceness": "0",  # with Ray's 15, workers of a busy machine may never begin
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do by itself; until then it warns
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


@contextmanager
def ray_session(processors: int) -> Iterator[None]:
    """Connect to Ray, or start it here, where only this machine reaches it; leave it, or end it, afterwards.

    processors (int): How many are needed; of this machine they need not be so many.
    RAISES (BGAError): Ray is not installed.
    """
    if find_spec("ray") is None:
        raise BGAError(Errors.B804)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    logging.getLogger("ray.data").setLevel(logging.WARNING)
    address = os.environ.get("RAY_ADDRESS")
    here: dict[str, Any] = (
        {} if address else {"num_cpus": processors, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    )
    ray.init(address, logging_level=logging.WARNING, log_to_driver=True, **here)
    try:
        yield
    finally:
        ray.shutdown()

"""A tiny pipeline, and its application on a port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spacy_bga.reliability.tiny import make_pipeline
from spacy_bga.serving.limits import Limits

POSTS = ["kevin durant joins the warriors in oakland", "new york is a love !", "", "🏀 warriors", "apple @ paris"]


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, text_encoder_folder: Path) -> str:
    folder = tmp_path_factory.mktemp("serving") / "pipeline"
    make_pipeline(text_encoder_folder, None).to_disk(folder)
    return str(folder)


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory, text_encoder_folder: Path, vision_encoder_folder: Path) -> str:
    folder = tmp_path_factory.mktemp("serving") / "pictured"
    nlp = make_pipeline(text_encoder_folder, vision_encoder_folder, save_visual_branch=True, visual_context="real")
    nlp.to_disk(folder)
    return str(folder)


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[str, Any]]]:
    """Serves pipelines in threads until the test's end. Returns the address, and the server."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    pytest.importorskip("prometheus_client", reason="needs the extra serve")
    uvicorn = pytest.importorskip("uvicorn", reason="needs the extra serve")
    from spacy_bga.annotation.tagger import Tagger
    from spacy_bga.serving.application import build_application
    from spacy_bga.serving.server import listen

    started: list[tuple[Any, threading.Thread, Any]] = []

    def start(pipeline: str, **limits: Any) -> tuple[str, Any]:
        app = build_application(Tagger(pipeline), Limits(**limits))
        place = listen("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, args=([place],))
        thread.start()
        started.append((server, thread, place))
        return f"http://127.0.0.1:{place.getsockname()[1]}", server

    yield start
    for server, thread, place in started:
        server.should_exit = True
        thread.join(60)
        place.close()

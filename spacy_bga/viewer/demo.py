"""Starts the interactive demo: Streamlit runs `demo_app.py`, on this machine alone."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from spacy_bga.errors import BGAError, Errors

APP = Path(__file__).parent / "demo_app.py"


def run_demo(model: Path, *, port: int, browser: bool = True) -> int:
    """Run the demo until it is ended.

    model (Path): The folder of a trained pipeline. port (int): Where it listens, at 127.0.0.1.
    browser (bool): Whether to open a browser.
    RETURNS (int): Streamlit's exit code.
    RAISES (BGAError): There is no such pipeline, or no Streamlit.
    """
    if not (model / "config.cfg").is_file():
        raise BGAError(Errors.B604.format(path=model, reason="it holds no config.cfg"))
    if find_spec("streamlit") is None:
        raise BGAError(Errors.B605)
    try:
        return subprocess.run(demo_command(model, port=port, browser=browser), check=False).returncode
    except KeyboardInterrupt:
        return 0


def demo_command(model: Path, *, port: int, browser: bool) -> list[str]:
    """RETURNS (list[str]): The command: nothing is reported to Streamlit's makers, and no other machine can connect."""
    settings = {
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": str(not browser).lower(),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": "127.0.0.1",
        "client.toolbarMode": "viewer",
        "global.developmentMode": "false",
    }
    options = [part for name, value in settings.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", str(APP), *options, "--", str(model.resolve())]

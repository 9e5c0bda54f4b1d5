"""What all commands have in common: errors and warnings are told plainly."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from spacy_bga.cli._app import exit_on_error
from spacy_bga.errors import BGAError


def test_an_error_is_told_without_its_traceback(capsys: pytest.CaptureFixture):
    with pytest.raises(typer.Exit) as ended, exit_on_error():
        raise BGAError("[B1] Mend it.")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "[B1] Mend it.\n"


def test_other_errors_keep_theirs():
    with pytest.raises(ZeroDivisionError), exit_on_error():
        raise ZeroDivisionError


def test_a_warning_is_told_without_the_line_of_code():
    code = (
        "import warnings; from spacy_bga.cli._app import exit_on_error\n"
        "with exit_on_error(): warnings.warn('[W1] Look out.')\n"
        "warnings.warn('after')"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert told.splitlines()[0] == "[W1] Look out."
    assert "UserWarning: after" in told

"""`python -m spacy_bga reliability CAMPAIGN`: what proves that nothing is lost."""

from spacy_bga.cli.reliability._campaign import reliability_app
from spacy_bga.cli.reliability.coverage import coverage_command
from spacy_bga.cli.reliability.fuzz import fuzz_command
from spacy_bga.cli.reliability.kills import kills_command
from spacy_bga.cli.reliability.load import load_command
from spacy_bga.cli.reliability.mutation import mutation_command
from spacy_bga.cli.reliability.sameness import sameness_command
from spacy_bga.cli.reliability.soak import soak_command

__all__ = [
    "coverage_command",
    "fuzz_command",
    "kills_command",
    "load_command",
    "mutation_command",
    "reliability_app",
    "sameness_command",
    "soak_command",
]

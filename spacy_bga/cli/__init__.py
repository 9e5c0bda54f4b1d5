"""The console: `python -m spacy_bga COMMAND`. Each command is a thin call into one of the packages below."""

from spacy_bga.cli._app import app
from spacy_bga.cli.alignment import alignment_command
from spacy_bga.cli.annotate import annotate_command
from spacy_bga.cli.benchmark import benchmark_command
from spacy_bga.cli.convert import convert_command
from spacy_bga.cli.curves import curves_command
from spacy_bga.cli.debug_data import debug_data_command
from spacy_bga.cli.demo import demo_command
from spacy_bga.cli.embedded import embedded_command
from spacy_bga.cli.encoders import encoders_command
from spacy_bga.cli.evaluate import evaluate_command
from spacy_bga.cli.export import export_command
from spacy_bga.cli.features import features_command
from spacy_bga.cli.init_config import init_config_command
from spacy_bga.cli.init_project import init_project_command
from spacy_bga.cli.label import label_command
from spacy_bga.cli.measure_package import measure_package_command
from spacy_bga.cli.model_card import model_card_command
from spacy_bga.cli.pointing import pointing_command
from spacy_bga.cli.probe import probe_command
from spacy_bga.cli.push import push_command
from spacy_bga.cli.reliability import reliability_app
from spacy_bga.cli.results import results_command
from spacy_bga.cli.runs import runs_command
from spacy_bga.cli.serve import serve_command
from spacy_bga.cli.split_pairs import split_pairs_command
from spacy_bga.cli.time_workflow import time_workflow_command
from spacy_bga.cli.train import train_command
from spacy_bga.cli.trial import trial_command
from spacy_bga.cli.uptake import uptake_command
from spacy_bga.cli.view import view_command

__all__ = [
    "alignment_command",
    "annotate_command",
    "app",
    "benchmark_command",
    "convert_command",
    "curves_command",
    "debug_data_command",
    "demo_command",
    "embedded_command",
    "encoders_command",
    "evaluate_command",
    "export_command",
    "features_command",
    "init_config_command",
    "init_project_command",
    "label_command",
    "measure_package_command",
    "model_card_command",
    "pointing_command",
    "probe_command",
    "push_command",
    "reliability_app",
    "results_command",
    "runs_command",
    "serve_command",
    "split_pairs_command",
    "time_workflow_command",
    "train_command",
    "trial_command",
    "uptake_command",
    "view_command",
]

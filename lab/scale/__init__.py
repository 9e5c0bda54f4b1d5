"""What annotation and serving do at scale, measured: the figures of docs/evidence/scale.json.

    pip install -e ".[ray]" locust
    python -m lab.scale annotate PIPELINE TEXTS.spacy --records 1000000
    python -m lab.scale serve PIPELINE TEXTS.spacy --seconds 600
    python -m lab.scale plan PIPELINE TEXTS.spacy               # one core, and a billion posts simulated from it

The first two want a machine that does nothing else; the load average before and after is recorded with the figures.
"""

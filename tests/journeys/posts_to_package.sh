#!/usr/bin/env bash
# You have labelled posts in CoNLL and their pictures, and want a pipeline that others can install.
#
#   bash posts_to_package.sh POSTS        # a folder with train.txt, dev.txt, test.txt and images
#
# TEXT_ENCODER and VISION_ENCODER name other encoders than the starter ones; STEPS bounds the training.
set -euo pipefail
posts=$1
text_encoder=${TEXT_ENCODER:-sentence-transformers/all-MiniLM-L6-v2}
vision_encoder=${VISION_ENCODER:-facebook/dinov2-small}

for part in train dev test; do
    python -m spacy_bga convert "$posts/$part.txt" "corpus/$part.spacy" --images "$posts/images"
done
python -m spacy_bga init-config my.cfg --train corpus/train.spacy --dev corpus/dev.spacy --images "$posts/images" \
    --text-encoder "$text_encoder" --vision-encoder "$vision_encoder" --features corpus/features
python -m spacy_bga debug-data my.cfg --original "$posts/train.txt" --json report.json
python -m spacy train my.cfg --output training ${STEPS:+--training.max_steps "$STEPS"}
python -m spacy_bga curves training/log.jsonl --output curves.svg

python -m spacy_bga evaluate training/model-best corpus/test.spacy --train corpus/train.spacy --images "$posts/images" \
    --output scores.json --page scores.md
python -m spacy evaluate training/model-best corpus/test.spacy --output metrics.json

mkdir -p packages
python -m spacy_bga model-card training/model-best --metrics metrics.json --name my_ner --version 0.1.0
python -m spacy package training/model-best packages --name my_ner --version 0.1.0 --build wheel

#!/usr/bin/env bash
# Do pictures help on your posts? Train with them and without, and let the test set judge.
#
#   bash two_configs_to_verdict.sh CORPUS PHOTOS        # a folder with train.spacy, dev.spacy and test.spacy
#
# TEXT_ENCODER and VISION_ENCODER name other encoders than the starter ones; STEPS bounds the training.
set -euo pipefail
corpus=$1 photos=$2
text_encoder=${TEXT_ENCODER:-sentence-transformers/all-MiniLM-L6-v2}
vision_encoder=${VISION_ENCODER:-facebook/dinov2-small}

python -m spacy_bga init-config with.cfg --train "$corpus/train.spacy" --dev "$corpus/dev.spacy" --images "$photos" \
    --text-encoder "$text_encoder" --vision-encoder "$vision_encoder"
python -m spacy_bga init-config without.cfg --base text_only --train "$corpus/train.spacy" --dev "$corpus/dev.spacy" \
    --text-encoder "$text_encoder"
for name in with without; do
    python -m spacy train $name.cfg --output training/$name --paths.log training/$name/log.jsonl \
        ${STEPS:+--training.max_steps "$STEPS"}
done
python -m spacy_bga curves training/with/log.jsonl training/without/log.jsonl --output curves.svg
python -m spacy_bga evaluate training/with/model-best "$corpus/test.spacy" --compare training/without/model-best \
    --train "$corpus/train.spacy" --images "$photos" --output verdict.json --page verdict.md

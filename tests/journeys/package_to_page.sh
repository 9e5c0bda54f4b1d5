#!/usr/bin/env bash
# Somebody has sent a pipeline as a wheel. You have posts in a CSV file, some with pictures: which names are in them?
#
#   bash package_to_page.sh WHEEL POSTS.csv PHOTOS
set -euo pipefail
wheel=$1 posts=$2 photos=$3

python -m pip install "$wheel"
name=$(basename "$wheel" | cut -d- -f1)

# Tag them, and keep what was found beside each post.
python - "$name" "$posts" found.csv <<'PYTHON'
import csv
import sys

import spacy

name, source, target = sys.argv[1:]
nlp = spacy.load(name)
with open(source, encoding="utf8", newline="") as file:
    rows = list(csv.DictReader(file))
with open(target, "w", encoding="utf8", newline="") as file:
    writer = csv.DictWriter(file, ["text", "image", "entities"])
    writer.writeheader()
    for doc, row in nlp.pipe(((row["text"], row) for row in rows), as_tuples=True):
        entities = "; ".join(f"{ent.text} ({ent.label_})" for ent in doc.ents)
        writer.writerow({"text": row["text"], "image": row["image"], "entities": entities})
PYTHON

# Look at them with their pictures.
python - "$posts" posts.jsonl <<'PYTHON'
import csv
import json
import sys

source, target = sys.argv[1:]
with open(source, encoding="utf8", newline="") as rows, open(target, "w", encoding="utf8") as lines:
    for row in csv.DictReader(rows):
        post = {"text": row["text"], **({"image": row["image"]} if row["image"] else {})}
        lines.write(json.dumps(post) + "\n")
PYTHON
python -m spacy_bga view "$name" posts.jsonl --images "$photos" --output page.html

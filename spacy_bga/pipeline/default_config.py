"""The settings of `bga_ner` that a config need not have, as spaCy's `init fill-config` writes them."""

from __future__ import annotations

DEFAULT_CONFIG = """
[bga_ner]
# What spaCy's learning rate is multiplied by. With its default, 0.001, these are right: a pretrained encoder is ruined
# at the rate that a CRF needs, and what words look like has to be read before it knows the training's names by heart.
rate_scales = {"encoder": 0.1, "generator": 0.5, "head": 1.0, "reader": 10.0}
# Entities already on a Doc are kept, and new ones that overlap them dropped; true replaces them all.
overwrite = false
# Whether to tell how sure each entity is: `ent._.bga_confidence`, its posterior probability.
confidence = false
# Wordpieces that go through the encoder at once while tagging; null: what suits the device.
max_wordpieces = null
# Whether a saved pipeline can go on learning from images. It never needs that to tag.
save_visual_branch = false
# The name of the extension attribute that holds a Doc's image.
image_attr = "image"
# A folder for the features of a frozen vision encoder; null keeps them in memory while training.
feature_cache = null
# An image that can't be decoded: "warn", "error" or "ignore".
on_missing = "warn"
# What the text attends to while tagging: the visual features that it generates ("generated"), or the real ones of those
# documents that have a readable image ("real"), which needs a saved visual branch, and training with `real_context`; or
# "auto": as "real" if there is a visual branch, else as "generated".
visual_context = "generated"
# The image root: paths of images are relative to it, and must stay below it, unless `spacy_bga.ImageCorpus.v1` has
# found them below its own. Encoded images need none.
image_root = null
# What runs the encoder and the generators while tagging: "torch", or "onnx" (ONNX Runtime) or "openvino", each of an
# extra of that name and faster on a CPU; or "auto": "onnx" for a text or two, if it is installed, and "torch" for more.
# Training always uses torch, and so does whatever attends to real images.
backend = "torch"
# "fp32"; "int8" for "onnx", or "bf16" for "torch" on a GPU: faster, at some cost in accuracy.
precision = "fp32"
# Whether to score also how well texts find their images, among examples with images; then there may be no label at all.
score_alignment = false
# Whether to set `doc._.trf_data` also if no component listens. It needs spacy-transformers.
set_trf_data = false

[bga_ner.scorer]
@scorers = "spacy.ner_scorer.v1"

[bga_ner.model]
@architectures = "spacy_bga.BGAModel.v2"
text_encoder = "sentence-transformers/all-MiniLM-L6-v2"
vision_encoder = "facebook/dinov2-small"
image_size = 224
"""

"""Make the golden pipelines of a release: `python -m tests.golden.make`, once, before its tag.

What this release saves, later ones have to load: `test_golden.py` tries the golden pipelines of all releases. They are
tiny, with encoders of random weights and tagger, generators and CRF after some updates, so that no part of them is as
it was when it began.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from spacy.language import Language

from spacy_bga.about import __version__
from spacy_bga.pipeline.bridge import get_shim
from spacy_bga.pipeline.tags import content_tokens
from spacy_bga.reliability.tiny import (
    IMAGE_SIZE,
    WORDS,
    component_config,
    make_example,
    make_pipeline,
    write_text_encoder,
    write_vision_encoder,
)
from tests.unigram import write_unigram_encoder

HERE = Path(__file__).parent
PIPELINES: dict[str, dict] = {
    "slim": {},
    "full": {"save_visual_branch": True},
    "onnx": {"backend": "onnx"},
    "words": {"save_visual_branch": True},
    "text": {},
}
V2 = {"@architectures": "spacy_bga.BGAModel.v2"}
MODELS: dict[str, dict] = {  # what of the method is in each: 1 MB in all
    "slim": {"bga_layers": 1},
    "full": {"bga_layers": 1},
    "onnx": {"bga_layers": 0, "vision_encoder": None},
    "words": {**V2, "bga_layers": 0, "word_width": 32},
    "text": {**V2, "bga_layers": 0, "vision_encoder": None},
}
LANGUAGES = {"text": "zh"}  # whose tokens are characters, of which wordpieces have several
TEXTS = [
    "kevin durant joins the warriors in oakland",
    "love is new york , paris and apple ! 🎉",
    "  kevin \n durant  ",
    " ".join(["apple joins paris in love"] * 12),  # several windows
    "   ",
    "",
]


def main(folder: Path = HERE / __version__) -> None:
    """Write the pipelines and what they find. folder (Path): Must not be there yet: what was released stays."""
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):  # the config names no machine's folder
        for name in ("text_encoder", "vision_encoder"):
            Path(name).mkdir()
        text, vision = write_text_encoder(Path("text_encoder")), write_vision_encoder(Path("vision_encoder"))
        Path("unigram").mkdir()
        unigram = write_unigram_encoder(Path("unigram"), [" ".join(WORDS)] * 20, size=60)
        expected = {}
        for name, settings in PIPELINES.items():
            encoder = unigram if name == "text" else text
            model = component_config(encoder, vision)["model"] | MODELS[name]
            nlp = make_pipeline(encoder, vision, lang=LANGUAGES.get(name, "xx"), model=model, **settings)
            examples = [make_example(nlp)]
            if name == "words":  # what words look like, images alone teach
                examples[0].reference._.image = draw_picture()
                words = get_shim(nlp.get_pipe("bga_ner").model).aligner.words
                assert words is not None
                words.trust.fill_(0.5)
            for _ in range(4):
                nlp.update(examples, losses={})
            expected[name] = answers(nlp)
            nlp.to_disk(folder / name)
    content = {"texts": TEXTS, "pipelines": expected}
    (folder / "expected.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf8")


def draw_picture() -> bytes:
    """RETURNS (bytes): A picture whose quarters are unlike, as PNG."""
    stream = io.BytesIO()
    Image.linear_gradient("L").resize((IMAGE_SIZE, IMAGE_SIZE)).save(stream, format="PNG")
    return stream.getvalue()


def answers(nlp: Language) -> list[dict[str, list]]:
    """RETURNS (list[dict[str, list]]): Of each text the "entities", by character, and the "emissions" of each token
    that is no white space."""
    found = []
    for text in TEXTS:
        doc = nlp(text)
        entities = [[ent.start_char, ent.end_char, ent.label_] for ent in doc.ents]
        found.append({"entities": entities, "emissions": emissions(nlp, text).round(6).tolist()})
    return found


def emissions(nlp: Language, text: str) -> np.ndarray:
    """RETURNS (np.ndarray): (t, L) what the encoder says of each token, before the CRF; (0, 0) of no token."""
    shim = get_shim(nlp.get_pipe("bga_ner").model)
    doc = nlp.make_doc(text)
    content = content_tokens(doc)
    if not len(content):
        return np.zeros((0, 0), dtype=np.float32)
    pieces = [shim.wordpieces.split_doc(doc, content)]
    chunks = [shim.wordpieces.batch(pieces, windows) for windows in shim.wordpieces.chunks(pieces, 512)]
    tagged = shim.aligner.eval().tag(chunks, encode=shim.graph.encoder(shim.aligner))
    return np.asarray(tagged, dtype=np.float32)


if __name__ == "__main__":
    main()

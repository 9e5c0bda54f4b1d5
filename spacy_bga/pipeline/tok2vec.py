"""A component's own copy of the encoder that it has listened to, for `nlp.replace_listeners`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.tokens import Doc
from thinc.api import Model, chain

from spacy_bga.pipeline.bridge import gather_features, get_shim, limit_worker_threads, most_wordpieces
from spacy_bga.pipeline.building import build_aligner
from spacy_bga.pipeline.shared_features import BatchFeatures, join_features, shared_width
from spacy_bga.pipeline.shim import BGAShim
from spacy_bga.pipeline.tags import content_tokens


def build_bga_tok2vec(
    aligner: Model,
    rate_scales: dict[str, float],
    pooling: Model | None = None,
    grad_factor: float = 1.0,
) -> Model:
    """Build `spacy_bga.BGATok2Vec.v1`: token vectors by an aligner that no other component shares.

    aligner (Model): Of the architecture `spacy_bga.BGAModel.v2`. Its visual branch is left out.
    rate_scales (dict[str, float]): What the learning rate is multiplied by, as of `bga_ner`.
    pooling (Optional[Model]): Makes one vector of a token's wordpieces, and grad_factor (float) is what its gradient is
        multiplied by, both as of `spacy-transformers.TransformerListener.v1`. None: their mean.
    RETURNS (Model): From documents to a vector for each token.
    """
    get_shim(aligner).set_rate_scales(rate_scales)
    encoder = _encoder_layer(aligner, pooled=pooling is None)
    if pooling is None:
        return encoder
    from spacy_transformers.layers import trfs2arrays

    return chain(encoder, trfs2arrays(pooling, grad_factor))


def allow_replacement(model: Model, rate_scales: Mapping[str, float]) -> None:
    """Tell `nlp.replace_listeners` how. model (Model): Of `bga_ner`. rate_scales (Mapping[str, float]): Its own."""
    model.attrs["replace_listener"] = _replace_listener
    model.attrs["replace_listener_cfg"] = partial(_replace_listener_config, dict(rate_scales))


def _replace_listener(copied: Model, listener: Model, component: Any) -> Model:
    aligner = get_shim(copied).aligner
    aligner.drop_visual_branch()
    encoder = _encoder_layer(copied, pooled=isinstance(listener, Tok2VecListener))
    encoder.set_dim("nO", shared_width(aligner))
    return encoder


def _replace_listener_config(
    rate_scales: dict[str, float], model: dict[str, Any], listener: dict[str, Any]
) -> dict[str, Any]:
    replaced = {"@architectures": "spacy_bga.BGATok2Vec.v1", "aligner": model, "rate_scales": rate_scales}
    return replaced | {key: listener[key] for key in ("pooling", "grad_factor") if key in listener}


def _encoder_layer(aligner: Model, *, pooled: bool) -> Model:
    """RETURNS (Model): From documents to what a listener gets of them: vectors of tokens, or a TransformerData each."""
    for name in ("replace_listener", "replace_listener_cfg"):
        aligner.attrs.pop(name, None)
    return Model(
        "bga-encoder",
        _forward,
        init=_initialize,
        dims={"nO": None},
        layers=[aligner],
        attrs={"pooled": pooled, "dropout_rate": 0.0},
    )


def _initialize(model: Model, X: Any = None, Y: Any = None) -> None:
    shim = get_shim(model.layers[0])
    if shim._model is None:
        aligner, tokenizer = build_aligner(model.layers[0].attrs["settings"], ())
        aligner.drop_visual_branch()
        shim.set_aligner(aligner, tokenizer)
    model.set_dim("nO", shared_width(shim.aligner), force=True)


def _forward(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[list[Any], Callable[[list[Any]], list[Doc]]]:
    limit_worker_threads()
    shim = get_shim(model.layers[0])
    if is_train:
        shim.prepare_update(model.attrs["dropout_rate"])
        shim.aligner.train()
        features, states = _encode(shim, docs)
    else:
        if shim.aligner.training:
            shim.aligner.eval()
        with torch.inference_mode():
            features, states = _encode(shim, docs)
    pooled = model.attrs["pooled"]

    def backprop(d_outputs: list[Any]) -> list[Doc]:
        of_docs: list[Any] = [None] * len(docs)
        if pooled:
            of_docs = [doc.gradient_of_vectors(d) for doc, d in zip(features.docs, d_outputs, strict=True)]
        else:
            spoken = [place for place, doc in enumerate(docs) if len(doc)]
            for place, data in zip(spoken, d_outputs, strict=True):
                of_docs[place] = data.model_output.last_hidden_state
        ends = [(part, d) for part, d in zip(states, features.gradients(of_docs), strict=True) if part.requires_grad]
        if ends:
            torch.autograd.backward([part for part, _ in ends], [d for _, d in ends])
        return []

    outputs = [doc.token_vectors() if pooled else doc.transformer_data() for doc in features.docs]
    return outputs, backprop


def _encode(shim: BGAShim, docs: Sequence[Doc]) -> tuple[BatchFeatures, list[torch.Tensor]]:
    """RETURNS (tuple[BatchFeatures, list[Tensor]]): The features of documents, and as they came from the encoder."""
    pieces = [shim.wordpieces.split_doc(doc, content_tokens(doc)) for doc in docs]
    padded = shim.device.type != "cpu" or shim.aligner.training  # as `arrange` has it
    limit = most_wordpieces(shim.device, padded=padded)
    chunks = list(shim.wordpieces.chunks(pieces, limit, padded=padded))
    texts = [shim.wordpieces.batch(pieces, windows).to(shim.device) for windows in chunks]
    hidden = [shim.aligner.encode(text).hidden for text in texts]
    states = join_features(shim.aligner, texts, hidden) if texts else []
    return gather_features(shim, docs, chunks, texts, states, joined=True), states

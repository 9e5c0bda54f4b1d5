"""The pipeline component `bga_ner`: named entities from text, learnt with images, found without."""

# No `from __future__ import annotations`: spaCy validates settings against the annotations, and wants types.

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import srsly
from spacy import util
from spacy.language import Language
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer

from spacy_bga.errors import BGAError, Errors, Warnings
from spacy_bga.pipeline.component_images import ComponentImages, VisualContext
from spacy_bga.pipeline.confidence import register_confidence_extension, set_confidences
from spacy_bga.pipeline.default_config import DEFAULT_CONFIG
from spacy_bga.pipeline.listeners import ListenedTo
from spacy_bga.pipeline.pictured_scoring import remember_entities, tag_as_it_will_run
from spacy_bga.pipeline.tags import Tagging, blocked_spans, merge_entities, to_spans

LOSS_TERMS = ("crf", "recon", "cycle", "ratio", "contrast", "words")
register_confidence_extension()  # here, as each `nlp` loads this module: Docs from elsewhere have the attribute, too


@Language.factory(
    "bga_ner",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config=Config().from_str(DEFAULT_CONFIG)["bga_ner"],
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_bga_ner(
    nlp: Language,
    name: str,
    model: Model,
    rate_scales: dict[str, float],
    overwrite: bool,
    confidence: bool,
    max_wordpieces: int | None,
    save_visual_branch: bool,
    image_attr: str,
    feature_cache: str | None,
    on_missing: Literal["warn", "error", "ignore"],
    visual_context: VisualContext,
    image_root: str | None,
    backend: Literal["torch", "onnx", "openvino", "auto"],
    precision: Literal["fp32", "bf16", "int8"],
    score_alignment: bool,
    set_trf_data: bool,
    scorer: Callable | None,
) -> "BGANer":
    """Make a `bga_ner` component. See `BGANer` for the settings."""
    return BGANer(
        nlp.vocab,
        model,
        name,
        rate_scales=rate_scales,
        overwrite=overwrite,
        confidence=confidence,
        max_wordpieces=max_wordpieces,
        save_visual_branch=save_visual_branch,
        image_attr=image_attr,
        feature_cache=Path(feature_cache) if feature_cache else None,
        on_missing=on_missing,
        visual_context=visual_context,
        image_root=Path(image_root) if image_root else None,
        backend=backend,
        precision=precision,
        score_alignment=score_alignment,
        set_trf_data=set_trf_data,
        scorer=scorer,
    )


class BGANer(ListenedTo, TrainablePipe):
    """Named entity recognition by bidirectional generative alignment (BGA-MNER, arXiv 2308.02570).

    It learns from texts with labels, from texts with images, and from both; it tags from text alone. Other components
    may listen to its encoder, see `ListenedTo`.

    vocab (Vocab): The shared vocabulary. model (Model): Of the architecture `spacy_bga.BGAModel.v2`.
    name (str): The component's name. scorer (Optional[Callable]): The scoring method.
    rate_scales (Mapping[str, float]): What the learning rate is multiplied by, for "encoder",
        "generator", "head" and "reader".
    overwrite (bool): Whether entities already on a Doc are replaced. Else they are kept, and respected.
    confidence (bool): Whether to set `ent._.bga_confidence`, the posterior of each entity that it finds.
    max_wordpieces (Optional[int]): The most wordpieces that go through the encoder at once while tagging; None: few
        enough for a CPU's caches, or as many as keep a GPU busy. The batcher bounds those of training.
    save_visual_branch (bool): Whether to save what only training from images needs.
    image_attr (str): The extension attribute that holds a Doc's image.
    feature_cache (Optional[Path]): A folder for the features of a frozen vision encoder.
    on_missing (str): What to do about an image that can't be decoded: "warn", "error" or "ignore".
    visual_context (str): What the text attends to while tagging: "generated" features, or the "real" ones of those
        documents that have an image; "auto" is "real" if there is a visual branch.
    image_root (Optional[Path]): The folder that the paths of images are relative to, which no reader has found already,
        in training as well as while tagging. None: such paths are refused.
    backend (str): What runs while tagging: "torch", or a graph in "onnx" (ONNX Runtime) or "openvino", on the CPU. The
        graph is made when it is first needed, and saved with the component. "auto" is "onnx" for up to 64 wordpieces
        if its packages are installed, and there is a graph or the component was loaded to stay as it is; else "torch".
    precision (str): "fp32", or with "onnx" also "int8", with "torch" also "bf16".
    score_alignment (bool): Whether `score` also tells how well texts find their images. A component without labels has
        to set it.
    set_trf_data (bool): Whether to set `doc._.trf_data` also if no component listens.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "bga_ner",
        *,
        rate_scales: Mapping[str, float] | None = None,
        overwrite: bool = False,
        confidence: bool = False,
        max_wordpieces: int | None = None,
        save_visual_branch: bool = False,
        image_attr: str = "image",
        feature_cache: Path | None = None,
        on_missing: Literal["warn", "error", "ignore"] = "warn",
        visual_context: VisualContext = "generated",
        image_root: Path | None = None,
        backend: Literal["torch", "onnx", "openvino", "auto"] = "torch",
        precision: Literal["fp32", "bf16", "int8"] = "fp32",
        score_alignment: bool = False,
        set_trf_data: bool = False,
        scorer: Callable | None = None,
    ):
        from spacy_bga.corpus.images import register_image_extension

        super().__init__(vocab, model, name, labels=[])
        self.scorer = scorer
        self.overwrite = overwrite
        self.confidence = confidence
        self.max_wordpieces = max_wordpieces
        self.image_attr = image_attr
        self.feature_cache = feature_cache
        self.on_missing = on_missing
        self.visual_context = visual_context
        self.image_root = image_root
        self.score_alignment = score_alignment
        self.examples_seen = 0  # while training, so that a logger can tell the speed
        self.images = ComponentImages(self)
        self.set_backend(backend, precision=precision)
        shim = self._shim
        shim.save_visual_branch = save_visual_branch
        shim.set_rate_scales(rate_scales or {})
        self.prepare_listening(set_trf_data)
        if not Doc.has_extension(image_attr):  # what another package made of it only matters to training
            register_image_extension(image_attr)

    @property
    def _shim(self) -> Any:
        """RETURNS (BGAShim): What holds the aligner. Raises a BGAError if the model is of another architecture."""
        from spacy_bga.pipeline.bridge import get_shim

        return get_shim(self.model)

    def set_backend(self, backend: str, *, precision: str = "fp32") -> None:
        """Choose what runs while tagging; a graph made before is forgotten. See `BGANer` for both settings."""
        self._shim.set_backend(backend, precision)

    @property
    def visual_features(self) -> Path | None:
        """RETURNS (Optional[Path]): Where given features are looked up; it can be set, as for texts to tag."""
        path = self.model.attrs["settings"].visual_features
        return None if path is None else Path(path)

    @visual_features.setter
    def visual_features(self, path: Path) -> None:
        self.model.attrs["settings"] = replace(self.model.attrs["settings"], visual_features=str(path))
        self.images = ComponentImages(self)  # which reads the files anew

    @property
    def backend_used(self) -> str | None:
        """RETURNS (Optional[str]): What the last texts were tagged with: "torch", "onnx" or "openvino"; None if there
        were none yet. Texts with an image that is looked at are torch's own."""
        return self._shim.graph.used

    @property
    def labels(self) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): The entity labels."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): What `spacy init labels` writes and `initialize` reads."""
        return self.labels

    @property
    def loss_terms(self) -> tuple[str, ...]:
        """RETURNS (tuple[str, ...]): The keys under which `update` records the terms of the loss."""
        return tuple(f"{self.name}_{term}" for term in LOSS_TERMS)

    def add_label(self, label: str) -> int:
        """Add an entity label, also to a trained component; what it has learnt is kept.

        label (str): The label. RETURNS (int): 0 if it was there already, else 1.
        """
        if not isinstance(label, str) or not label:
            raise BGAError(Errors.B203.format(label=label))
        if label in self.labels:
            return 0
        self.cfg["labels"] = [*self.labels, label]
        self.vocab.strings.add(label)
        shim = self._shim
        if shim._model is not None:
            shim.aligner.set_labels(self.labels)
            shim.reset_optimizer()
        return 1

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Sequence[str] | None = None,
        aligner: Path | None = None,
        align_steps: int | None = None,
    ) -> None:
        """Load the encoders, choose the labels, compute the features of a frozen vision encoder, and learn from the
        examples with images which words go with what is in them.

        get_examples (Callable[[], Iterable[Example]]): Returns the training data, or a sample of it.
        nlp (Optional[Language]): The pipeline. labels (Optional[Sequence[str]]): The labels; None: those of the data,
            and of `add_label`. If `score_alignment` is set, examples with images and no labels at all are enough: the
            component then only learns to align.
        aligner (Optional[Path]): What to begin with: a pipeline that has learnt to align, saved with its visual branch,
            or the folder of its aligner. None: the pretrained encoders.
        align_steps (Optional[int]): Updates that learn from images alone, before anything is tagged. None: twenty
            passes over the examples with images, within 600 to 3,000 updates, if words generate what they look like
            (`words`), the vision encoder is frozen, and no `aligner` is given; else none.
        """
        from spacy_bga.pipeline.building import aligner_folder, build_aligner
        from spacy_bga.pipeline.pretraining import prepare_aligner

        validate_get_examples(get_examples, "BGANer.initialize")
        examples = list(get_examples())
        if labels is None:
            found = {ent.label_ for example in examples for ent in example.reference.ents}
            labels = [*self.labels, *sorted(found - set(self.labels))]
        images = self.images.of_all(examples)
        if not labels and not (any(images) and self.score_alignment):
            raise BGAError(Errors.B204.format(name=self.name))
        self.cfg["labels"] = list(labels)
        for label in labels:
            self.vocab.strings.add(label)
        self._shim.set_aligner(*build_aligner(self.model.attrs["settings"], labels))
        self.images.check(images, is_aligned=aligner is not None)
        features = self.images.features() if any(images) else None
        if features is not None and not features.branch.config.train_vision:
            given = [sources for sources in images if sources]
            features.prepare(given, progress=True)
            features.fit(given)
        if aligner is not None:
            self._shim.aligner.start_from(aligner_folder(Path(aligner), name=self.name))
        prepare_aligner(
            self.model,
            examples,
            images,
            features,
            steps=align_steps,
            is_aligned=aligner is not None,
        )
        self.set_widths()

    def predict(self, docs: Iterable[Doc]) -> list[Tagging]:
        """Find the best tags, without modifying the docs. No image is looked at if `visual_context` is "generated".

        docs (Iterable[Doc]): The documents.
        RETURNS (list[Tagging]): For each document, its tags, and how sure their entities are if `confidence` is set.
        """
        from spacy_bga.pipeline.bridge import predict_tags

        docs = list(docs)
        self._shim.updates.finish(before=docs)
        settings: dict[str, Any] = {k: getattr(self, k) for k in ("max_wordpieces", "overwrite", "confidence")}
        settings["share"] = self.shares
        return predict_tags(self.model, docs, **settings, **self.images.to_tag(docs))

    def set_annotations(self, docs: Iterable[Doc], taggings: Iterable[Tagging]) -> None:
        """Set `doc.ents` from predicted tags, `ent._.bga_confidence` from their confidences, if there are any, and what
        listening components read.

        docs (Iterable[Doc]): The documents. taggings (Iterable[Tagging]): What `predict` returned for them.
        """
        docs, taggings = list(docs), list(taggings)
        if self.shares:
            self.share(docs, [tagging.features for tagging in taggings])
        if self.images.are_looked_at:
            remember_entities(self, docs)
        for doc, tagging in zip(docs, taggings, strict=True):
            found = to_spans(doc, tagging.tags, self.labels)
            entities = merge_entities(doc, found, overwrite=self.overwrite)
            doc.set_ents(entities, blocked=blocked_spans(doc), default="outside")
            set_confidences(doc, found, tagging.confidence, overwrite=self.overwrite)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tag a stream. If a batch fails, its documents are tried one by one before the error handler is asked.

        stream (Iterable[Doc]): The documents. batch_size (int): How many to buffer; within the buffer, documents of
            like length go through the encoder together.
        YIELDS (Doc): The documents, in order.
        """
        for docs in util.minibatch(stream, size=batch_size):
            yield from self._annotate(docs)

    def _annotate(self, docs: list[Doc]) -> list[Doc]:
        """RETURNS (list[Doc]): The documents that could be tagged."""
        try:
            self.set_annotations(docs, self.predict(docs))
            return docs
        except Exception as error:
            if len(docs) > 1:
                return [done for doc in docs for done in self._annotate([doc])]
            self.get_error_handler()(self.name, self, docs, error)
            return []

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch. An example contributes what it has: annotation, an image, or both.

        examples (Iterable[Example]): The batch. drop (float): The dropout rate of the text side.
        sgd (Optional[Optimizer]): None leaves the gradients to a later `finish_update`.
        losses (Optional[dict[str, float]]): Updated under the component's name with the whole loss, and under
            `loss_terms` with its unweighted terms. RETURNS (dict[str, float]): The losses.
        """
        from spacy_bga.pipeline.bridge import collate

        losses = {} if losses is None else losses
        for key in (self.name, *self.loss_terms):
            losses.setdefault(key, 0.0)
        examples = list(examples)
        validate_examples(examples, "BGANer.update")
        self.examples_seen += len(examples)
        self._shim.prepare_update(drop)  # before images are looked at: with the weights as they lie from here on
        images = self.images.of_all(examples)
        features = self.images.features() if any(images) else None
        batch = collate(self.model, examples, images, features, whole=bool(self.listener_map))
        if batch is None:
            self.await_listeners(examples)
            return losses
        terms, backward = self.model.begin_update(batch)
        if not self.await_listeners(examples, batch, backward):
            backward()
        if sgd not in (None, False):
            self.finish_update(sgd)
        losses[self.name] += terms.pop("total")
        for name, value in terms.items():
            losses[f"{self.name}_{name}"] += value
        return losses

    def rehearse(self, examples: Iterable[Example], **settings: Any) -> dict[str, float]:
        """Say that there is no rehearsal, and learn nothing.

        examples (Iterable[Example]): Left alone. RETURNS (dict[str, float]): The losses as they were.
        """
        warnings.warn(Warnings.W216.format(name=self.name), stacklevel=3)
        return settings.get("losses") or {}

    def create_optimizer(self) -> Optimizer:
        """RETURNS (Optimizer): One whose rate suits the encoder, whatever `rate_scales` are."""
        from spacy_bga.pipeline.optimizer import create_optimizer

        return create_optimizer(self._shim.rate_scales)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """Score a batch of examples: the entities, and if `score_alignment` is set, how well texts find their images.

        examples (Iterable[Example]): Examples whose predicted docs were tagged. Where images are looked at and the gold
            document alone has one, the text is tagged once more, with it.
        RETURNS (dict[str, Any]): The scorer's; `align_r10` and `align_r10_images`, the share of texts whose own image,
            and of images whose own text, is among the 10 most alike of all.
        """
        from spacy_bga.pipeline.alignment import align, recall_scores

        examples = tag_as_it_will_run(self, examples)
        scores = super().score(examples, **kwargs)
        features = self.images.features() if self.score_alignment else None
        if features is not None:
            images = self.images.of_all(examples)
            scores |= recall_scores(align(self.model, [example.predicted for example in examples], images, features))
        return scores

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write a folder: the settings, and in `model` what `BGAModel.from_pretrained` reads. See `from_disk`."""
        serialize = {
            "cfg": lambda p: srsly.write_json(p, self.cfg),
            "vocab": lambda p: self.vocab.to_disk(p, exclude=exclude),
            "model": lambda p: self._shim.to_disk(p),
        }
        util.to_disk(path, serialize, exclude)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "BGANer":
        """Read what `to_disk` wrote; neither the network nor the original encoders are needed.

        path (Union[str, Path]): The folder. exclude (Iterable[str]): Names of fields to leave out.
        RETURNS (BGANer): This component.
        """
        from spacy_bga.pipeline.shim import tell_of_folder

        deserialize = {
            "cfg": lambda p: self.cfg.update(srsly.read_json(p)),
            "vocab": lambda p: self.vocab.from_disk(p, exclude=exclude),
            "model": lambda p: self._shim.from_disk(p),
        }
        with tell_of_folder(path):
            util.from_disk(path, deserialize, exclude)
            self._shim.check_labels(self.cfg.get("labels"), path)
        self.set_widths()
        return self

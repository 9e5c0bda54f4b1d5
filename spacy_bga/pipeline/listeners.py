"""One encoder for a whole pipeline: other components listen to what this one's encoder makes of the text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from spacy.pipeline.tok2vec import Tok2VecListener
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model, Optimizer

from spacy_bga.errors import BGAError, Errors

if TYPE_CHECKING:  # it imports torch, and this module is imported with spaCy
    from spacy_bga.pipeline.shared_features import BatchFeatures, DocFeatures


class ListenedTo:
    """The part of a component that others listen to, as of spaCy's `Tok2Vec` and spacy-transformers' `Transformer`.

    Listeners are layers of other components' models, of the architectures `spacy.Tok2VecListener.v1` or
    `spacy-transformers.TransformerListener.v1`, whose `upstream` is this component's name. The wildcard "*" is left to
    `tok2vec` and `transformer`: pipelines that have one of them as well mean that.
    """

    name: str
    listener_map: dict[str, list[Model]]  # by component; spaCy sets it anew whenever a pipeline changes
    set_trf_data: bool  # whether to set `doc._.trf_data` also if nothing listens

    def prepare_listening(self, set_trf_data: bool) -> None:
        """Begin without listeners. RAISES (BGAError): `set_trf_data` needs spacy-transformers."""
        from spacy_bga.pipeline.tok2vec import allow_replacement

        self.listener_map = {}
        self.set_trf_data = set_trf_data
        if set_trf_data:
            install_trf_data()
        allow_replacement(self.model, self._shim.rate_scales)  # type: ignore[attr-defined]

    @property
    def listeners(self) -> list[Model]:
        """RETURNS (list[Model]): The listeners of all components."""
        return [listener for listeners in self.listener_map.values() for listener in listeners]

    @property
    def listening_components(self) -> list[str]:
        """RETURNS (list[str]): The names of the components that listen."""
        return list(self.listener_map)

    @property
    def shares(self) -> bool:
        """RETURNS (bool): Whether anything is to be told about features."""
        return bool(self.listener_map) or self.set_trf_data

    def find_listeners(self, component: Any) -> None:
        """Add those of a component's layers that listen to this one.

        component (Any): Of any kind; spaCy calls it for whatever comes later in the pipeline.
        """
        if isinstance(getattr(component, "model", None), Model):
            for node in component.model.walk():
                if _is_listener(node) and node.upstream_name == self.name:
                    self.add_listener(node, component.name)

    def add_listener(self, listener: Model, component_name: str) -> None:
        """Add a listener.

        listener (Model): The layer. component_name (str): The component that it is part of.
        RAISES (BGAError): Its width is not that of the features.
        """
        listeners = self.listener_map.setdefault(component_name, [])
        if listener not in listeners:
            listeners.append(listener)
        if not isinstance(listener, Tok2VecListener):
            install_trf_data()
        self.set_widths()

    def remove_listener(self, listener: Model, component_name: str) -> bool:
        """Remove a listener, after which it gets nothing more. RETURNS (bool): Whether it was there."""
        listeners = self.listener_map.get(component_name, [])
        if listener not in listeners:
            return False
        listeners.remove(listener)
        if not listeners:
            del self.listener_map[component_name]
        return True

    def set_widths(self) -> None:
        """Tell listeners how wide the features are, once there is an aligner. RAISES (BGAError): One has said another
        width."""
        aligner = self._shim._model  # type: ignore[attr-defined]
        if aligner is None or not self.listener_map:
            return
        from spacy_bga.pipeline.shared_features import shared_width

        width = shared_width(aligner)
        for component, listeners in self.listener_map.items():
            for listener in listeners:
                if listener.has_dim("nO") is None:
                    listener.set_dim("nO", width)
                elif listener.get_dim("nO") != width:
                    raise BGAError(
                        Errors.B230.format(
                            component=component, name=self.name, given=listener.get_dim("nO"), width=width
                        )
                    )

    def await_listeners(self, examples: Sequence[Example], batch: Any = None, backward: Any = None) -> bool:
        """Hand the features of a step to the listeners, and leave the backward pass to the last of them that answers.

        examples (Sequence[Example]): The examples. batch (Optional[TrainingBatch]), backward (Optional[Backward]): What
            the step was computed from, and its callback; None if there was nothing to compute.
        RETURNS (bool): Whether anything listens.
        """
        if not self.listener_map:
            return False
        from spacy_bga.pipeline.bridge import gather_features

        shim = self._shim  # type: ignore[attr-defined]
        docs = [example.predicted for example in examples]
        if batch is None:
            features = gather_features(shim, docs, [], [], [], joined=True)
        else:
            features = gather_features(shim, docs, [batch.windows], [batch.text], [backward.features], joined=True)

        def go_back(gradients: Sequence[Any]) -> None:
            if backward is not None:
                backward(1.0, *gradients)

        shim.updates.put(SharedUpdate(features, docs, go_back, self.listeners))
        return True

    def share(self, docs: Sequence[Doc], features: Sequence[DocFeatures | None]) -> None:
        """Put features where listeners look for them while tagging: `doc._.trf_data`, or `doc.tensor` for spaCy's own.

        docs (Sequence[Doc]): The documents. features (Sequence[Optional[DocFeatures]]): Of each; None leaves it alone.
        """
        native = any(isinstance(listener, Tok2VecListener) for listener in self.listeners)
        trf_data = self.set_trf_data or not all(isinstance(listener, Tok2VecListener) for listener in self.listeners)
        for doc, found in zip(docs, features, strict=True):
            if found is not None and trf_data:
                doc._.trf_data = found.transformer_data()
            if found is not None and native:
                doc.tensor = found.token_vectors()


class SharedUpdate:
    """A step of training that waits for listeners: what they learn reaches the encoder in the same backward pass as
    what the component learns itself.

    The losses of spaCy's components are sums over documents, ours is their mean. A sum of some hundred tokens would
    leave little of ours, so that the mean is taken of each listener's as well, over the documents that it learns from.

    features (BatchFeatures): Those of the batch. docs (Sequence[Doc]): Its documents.
    backward (Callable): Adds gradients, given that of each chunk of features. listeners (Sequence[Model]): Who listens.
    """

    def __init__(
        self,
        features: BatchFeatures,
        docs: Sequence[Doc],
        backward: Callable[[Sequence[Any]], None],
        listeners: Sequence[Any],
    ):
        self._features = features
        self._backward = backward
        self._docs = {id(doc): doc for doc in docs}  # held, lest a new document gets the place of an old one
        self._waiting = {id(listener) for listener in listeners}
        self._gradients: list[Any] = [None] * len(docs)
        self.is_heard = False  # whether any listener has answered
        self.is_done = False
        self.on_done: Callable[[], None] | None = None  # the optimizer's step, if that was asked for too early
        batch_id = Tok2VecListener.get_batch_id(docs)
        for listener in listeners:
            listener.receive(batch_id, *self._exchange(listener))

    def is_of(self, docs: Sequence[Doc]) -> bool:
        """RETURNS (bool): Whether one of these documents is of the batch."""
        return not self.is_done and any(id(doc) in self._docs for doc in docs)

    def finish(self) -> None:
        """Go back through the encoder with what listeners have said so far. Nothing, if that is done."""
        if self.is_done:
            return
        self.is_done = True
        self._backward(self._features.gradients(self._gradients))
        if self.on_done is not None:
            self.on_done()
        # The listeners may keep this for long.
        del self._backward, self._features, self._gradients, self._docs

    def _exchange(self, listener: Model) -> tuple[list[Any], Callable[[list[Any]], list[Doc]]]:
        """RETURNS (tuple[list[Any], Callable]): What a listener gets, and what takes its gradients."""
        docs = self._features.docs
        if isinstance(listener, Tok2VecListener):

            def take(d_vectors: list[Any]) -> list[Doc]:
                gradients = [doc.gradient_of_vectors(d) for doc, d in zip(docs, d_vectors, strict=True)]
                return self._take(listener, dict(enumerate(gradients)))

            return [doc.token_vectors() for doc in docs], take
        spoken = [place for place, doc in enumerate(docs) if len(doc.lengths)]  # of others, nothing comes back

        def take_data(d_data: list[Any]) -> list[Doc]:
            states = [data.model_output.last_hidden_state for data in d_data]
            return self._take(listener, dict(zip(spoken, states, strict=True)))

        return [doc.transformer_data() for doc in docs], take_data

    def _take(self, listener: Model, gradients: dict[int, Any]) -> list[Doc]:
        if not self.is_done:
            gradients = {place: gradient for place, gradient in gradients.items() if gradient.any()}
            for place, gradient in gradients.items():
                own, share = self._gradients[place], gradient / len(gradients)
                self._gradients[place] = share if own is None else own + share
            self.is_heard = True
            self._waiting.discard(id(listener))
            if not self._waiting:
                self.finish()
        return []


class UpdateQueue:
    """The step that waits for listeners, if one does.

    `nlp.update` asks for the optimizer's step before listeners have answered, `spacy train` after it. Some never do:
    frozen components, or those that find nothing to learn in a batch.
    """

    def __init__(self) -> None:
        self._waiting: SharedUpdate | None = None

    def put(self, update: SharedUpdate) -> None:
        """Wait for listeners. update (SharedUpdate): Any before it has to be finished."""
        self._waiting = None if update.is_done else update

    def postpone(self, step: Callable[[Optimizer], None], optimizer: Optimizer) -> bool:
        """RETURNS (bool): Whether the optimizer's step has to wait, too, since no listener has answered yet. step
        (Callable): What carries it out."""
        update = self._waiting
        if update is None or update.is_done or update.is_heard:
            self.finish()
            return False
        update.on_done = lambda: step(optimizer)
        return True

    def finish(self, *, before: Sequence[Doc] = ()) -> None:
        """Wait no longer. before (Sequence[Doc]): Documents about to be tagged; if they are those of the batch, as with
        `annotating_components`, its listeners will answer yet."""
        update = self._waiting
        if update is not None and not update.is_of(before):
            self._waiting = None
            update.finish()

    def __reduce__(self) -> tuple[type[UpdateQueue], tuple[()]]:
        return UpdateQueue, ()  # what is copied or sent to another process has nothing to do with it


def install_trf_data() -> None:
    """Register `doc._.trf_data`. RAISES (BGAError): spacy-transformers isn't installed."""
    try:
        from spacy_transformers import install_extensions
    except ImportError as error:
        raise BGAError(Errors.B231) from error
    install_extensions()


def _is_listener(node: Model) -> bool:
    if isinstance(node, Tok2VecListener):
        return True
    # Without importing it: what listens has been imported.
    module = sys.modules.get("spacy_transformers.layers.listener")
    return module is not None and isinstance(node, module.TransformerListener)

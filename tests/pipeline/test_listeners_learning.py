"""What components that listen to the encoder of `bga_ner` teach it."""

from __future__ import annotations

import copy
import gc
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Adam

from spacy_bga.aligner.windows import merge_wordpieces
from spacy_bga.pipeline.bridge import collate, get_shim
from tests.pipeline.conftest import aligner_of, pipe_of, train
from tests.pipeline.listening import KINDS, TEXTS, WIDTH, Make, build, same_weights, tagged_examples, weights_of


@pytest.fixture
def make(text_encoder_folder: Path, vision_encoder_folder: Path) -> Make:
    return partial(build, text_encoder_folder, vision_encoder_folder)


@pytest.mark.parametrize("kind", KINDS)
class TestTraining:
    def test_gradients(self, kind: str, make: Make):
        """Of our loss and the mean of a listener's, against finite differences along some directions."""
        nlp = make(kind, model={"sample": False})
        component, examples = pipe_of(nlp), tagged_examples(nlp)
        shim, aligner = get_shim(component.model), aligner_of(nlp)
        rng = np.random.default_rng(0)
        wanted = [rng.normal(size=(len(example.predicted), WIDTH)).astype("f") for example in examples]
        component.update(examples, drop=0.0)
        (listening,) = component.listeners
        outputs, answer = listening._outputs, listening._backprop
        if kind == "tok2vec":
            answer(wanted)
        else:
            data = [tagging.features for tagging in component.predict([example.predicted for example in examples])]
            gradients = [doc.gradient_of_vectors(d) for doc, d in zip(data, wanted, strict=True)]
            for output, gradient in zip(outputs, gradients, strict=True):
                output.model_output["last_hidden_state"] = gradient
            answer(outputs)
        aligner.set_dropout(0.0)
        batch: Any = collate(component.model, examples, [()] * len(examples), None, whole=True)

        def objective() -> float:
            with torch.no_grad():
                losses, hidden = aligner.learn(batch.text, allowed=batch.allowed, whole=True)
                assert hidden is not None
                vectors = merge_wordpieces([(hidden, batch.text)])
                heard = (vectors * torch.from_numpy(np.concatenate(wanted))).double().sum() / len(wanted)
                return float(losses["total"].double() + heard)

        aligner.train()
        parameters = [p for p in aligner.parameters() if p.grad is not None]
        assert any(p is aligner.text_encoder.word_embeddings.weight for p in parameters)
        for seed in range(4):
            torch.manual_seed(seed)
            chosen = [p.grad if torch.rand(()) < 0.5 else torch.zeros_like(p) for p in parameters]
            length = sum(float(g.square().sum()) for g in chosen) ** 0.5  # type: ignore[union-attr]
            steps = [g / length + 0.2 * torch.randn_like(g) / g.numel() ** 0.5 for g in chosen]  # type: ignore[union-attr,operator]
            slope = sum(float((p.grad * step).sum()) for p, step in zip(parameters, steps, strict=True))  # type: ignore[operator]
            size = 3e-4
            values = []
            for sign in (1, -2, 1):
                for p, step in zip(parameters, steps, strict=True):
                    p.data.add_(step, alpha=sign * size)
                values.append(objective())
            assert (values[0] - values[1]) / (2 * size) == pytest.approx(slope, rel=0.01)
        assert shim.updates._waiting is None or shim.updates._waiting.is_done

    def test_one_backward_pass_for_all(self, kind: str, make: Make, monkeypatch: pytest.MonkeyPatch):
        nlp = make(kind, ["tagger", "textcat"])
        passes = []
        own = torch.autograd.backward
        monkeypatch.setattr(torch.autograd, "backward", lambda *args: (passes.append(len(args[0])), own(*args)))
        train(nlp, tagged_examples(nlp), steps=3)
        assert passes == [2, 2, 2]

    def test_steps_are_the_same_in_both_orders(self, kind: str, make: Make):
        """`nlp.update` with an optimizer asks for the step before listeners have answered, `spacy train` after it."""
        results = []
        for together in (True, False):
            nlp = make(kind, ["tagger", "textcat"])
            optimizer = Adam(0.001)
            for _ in range(3):
                fix_random_seed(1)
                examples = tagged_examples(nlp)
                if together:
                    nlp.update(examples, sgd=optimizer)
                    continue
                nlp.update(examples, sgd=False)
                for name in nlp.pipe_names:
                    nlp.get_pipe(name).finish_update(optimizer)
            results.append(weights_of(nlp))
        for name, tensor in results[0].items():
            torch.testing.assert_close(tensor, results[1][name], atol=1e-6, rtol=1e-5)

    def test_listeners_teach_the_encoder(self, kind: str, make: Make):
        """Also where the component itself has nothing to learn, and the more so the larger the encoder's rate."""
        moved = []
        for rate in (0.0, 0.1, 1.0):
            nlp = make(kind, rate_scales={"encoder": rate})
            before, examples = weights_of(nlp), tagged_examples(nlp)
            # A tagger's first output is the same whatever it hears.
            nlp.update(examples, sgd=Adam(0.01), exclude=["bga_ner"], annotates=["bga_ner"])
            for example in examples:
                example.reference.set_ents([], default="missing")
            nlp.update(examples, sgd=Adam(0.001), drop=0.0)
            after = weights_of(nlp)
            name = "text_encoder.model.encoder.layer.0.output.dense.weight"
            moved.append(float((after[name] - before[name]).abs().mean()))
            assert torch.equal(after["head.weight"], before["head.weight"])
        assert moved[0] == 0
        assert 5 < moved[2] / moved[1] < 20

    def test_listeners_learn(self, kind: str, make: Make):
        nlp = make(kind, ["tagger", "textcat"])
        train(nlp, tagged_examples(nlp), steps=60)
        scores = nlp.evaluate(tagged_examples(nlp))
        assert (scores["tag_acc"], scores["ents_f"]) == (1.0, 1.0)
        assert scores["cats_score"] == 1.0

    def test_a_frozen_listener_changes_nothing(self, kind: str, make: Make):
        """Its step is taken at the latest when the weights are next needed."""
        results = []
        for components in (["tagger"], []):
            nlp = make(kind, components)
            optimizer = Adam(0.001)
            for _ in range(2):
                fix_random_seed(1)
                nlp.update(tagged_examples(nlp), sgd=optimizer, exclude=["tagger"], drop=0.0)
            nlp("love paris")
            results.append(weights_of(nlp))
        for name, tensor in results[0].items():
            torch.testing.assert_close(tensor, results[1][name], atol=1e-6, rtol=1e-5)

    def test_frozen_and_annotating(self, kind: str, make: Make):
        nlp = make(kind)
        before, optimizer = weights_of(nlp), Adam(0.01)
        for _ in range(60):
            nlp.update(tagged_examples(nlp), sgd=optimizer, exclude=["bga_ner"], annotates=["bga_ner"])
        assert same_weights(weights_of(nlp), before)
        assert nlp.evaluate(tagged_examples(nlp))["tag_acc"] > 0.9

    def test_annotating_while_learning(self, kind: str, make: Make):
        """Documents are annotated while their listeners have yet to answer: these still teach the encoder."""
        results = []
        for annotates in (["bga_ner"], []):
            nlp = make(kind)
            fix_random_seed(1)
            nlp.update(tagged_examples(nlp), sgd=Adam(0.001), annotates=annotates, drop=0.0)
            results.append(weights_of(nlp))
        assert same_weights(*results)

    def test_batches_of_nothing(self, kind: str, make: Make):
        nlp = make(kind, ["tagger", "textcat"])
        empty = [Doc(nlp.vocab, words=words) for words in ([], ["\n"], ["\u200d"])]
        for docs in (empty, [*empty, *(example.reference for example in tagged_examples(nlp))]):
            for doc in docs:
                doc.cats = {"LONG": 0.0, "SHORT": 1.0}
            examples = [Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc) for doc in docs]
            losses = nlp.update(examples, sgd=Adam(0.001))
            assert np.isfinite([*losses.values()]).all()

    def test_gradients_accumulate(self, kind: str, make: Make):
        nlp = make(kind)
        examples = tagged_examples(nlp)
        gradients = []
        for parts in ([examples], [examples[:2], examples[2:]]):
            for part in parts:
                for name in nlp.pipe_names:
                    nlp.get_pipe(name).update(part, drop=0.0)
            weight = aligner_of(nlp).text_encoder.word_embeddings.weight
            gradients.append(weight.grad.clone())
            weight.grad = None
        assert all(gradient.abs().sum() > 0 for gradient in gradients)


class TestWaiting:
    """A step whose listener never answers, as a frozen one does, is taken when the weights are next needed."""

    @pytest.fixture
    def nlp(self, make: Make) -> Language:
        nlp = make("tok2vec")
        nlp.update(tagged_examples(nlp), sgd=Adam(0.01), exclude=["tagger"], drop=0.0)
        return nlp

    def test_new_documents_are_none_of_its_own(self, nlp: Language):
        """Also where Python gives them the places in memory that those had."""
        waiting = get_shim(pipe_of(nlp).model).updates._waiting
        assert waiting is not None
        gc.collect()
        assert not waiting.is_of([nlp.make_doc(text) for text in TEXTS * 300])

    def test_a_copy_has_none(self, nlp: Language):
        updates = get_shim(pipe_of(nlp).model).updates
        assert updates._waiting is not None
        assert copy.deepcopy(updates)._waiting is pickle.loads(pickle.dumps(updates))._waiting is None

    def test_weights_that_are_loaded_take_none(self, nlp: Language, make: Make):
        saved = make("tok2vec")
        expected = weights_of(saved)
        pipe_of(nlp).from_bytes(pipe_of(saved).to_bytes())
        nlp("love paris")
        assert same_weights(expected, weights_of(nlp))

    def test_training_that_is_resumed_takes_none(self, nlp: Language, make: Make):
        state = get_shim(pipe_of(make("tok2vec")).model).training_state()
        shim = get_shim(pipe_of(nlp).model)
        shim.load_training_state(state, Adam(0.01))
        nlp.update(tagged_examples(nlp), sgd=Adam(0.0), exclude=["tagger"], drop=0.0)
        nlp("love paris")
        for name, tensor in aligner_of(nlp).state_dict().items():
            assert torch.equal(tensor, state[f"weights/{name}"]), name

"""The aligner: text and vision encoders joined by BGA layers, and a CRF on the text side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import AutoConfig, PretrainedConfig

from spacy_bga.aligner.config import BGAConfig
from spacy_bga.aligner.crf import CRF
from spacy_bga.aligner.encoding import Encoding, Stage, mix_in
from spacy_bga.aligner.generator import CrossModalGenerator
from spacy_bga.aligner.given import GivenFeatures, is_given
from spacy_bga.aligner.layer import BGALayer, Sampled
from spacy_bga.aligner.layout import lay_out_for_tagging
from spacy_bga.aligner.losses import match
from spacy_bga.aligner.packing import arrange
from spacy_bga.aligner.reading import Context, WordReading
from spacy_bga.aligner.text_encoder import TextEncoder
from spacy_bga.aligner.vision_encoder import VisionEncoder
from spacy_bga.aligner.visual import VisualBatch, VisualBranch, VisualStates
from spacy_bga.aligner.weights import check_weights, undrawn_weights
from spacy_bga.aligner.windows import TextBatch, merge_wordpieces, pad_documents
from spacy_bga.aligner.words import WordGenerator, WordReader
from spacy_bga.errors import BGAError, Errors, reason

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
VISUAL_PREFIX = "visual."
MEMORY_PREFIX = "visual.memories."  # of past images, by the removed setting `contrast_memory`

Losses = dict[str, Tensor]


class BGAModel(WordReading):
    """BGA-MNER (arXiv 2308.02570).

    The text attends to visual features that it generates itself, so that tagging needs no image: images reach
    the tagger through the losses alone. With `config.words` (ours), each word also generates what it looks like, and
    the tagger reads that beside the text's features.

    config (BGAConfig): The settings. text_encoder (TextEncoder): The text encoder, opened layer by layer.
    vision_encoder (Optional[Union[VisionEncoder, GivenFeatures]]): The vision encoder, or what stands for it; None for
        a text-only or a slim aligner.
    """

    def __init__(
        self,
        config: BGAConfig,
        text_encoder: TextEncoder,
        vision_encoder: VisionEncoder | GivenFeatures | None = None,
    ):
        super().__init__()
        self.text_encoder = text_encoder
        width = text_encoder.width
        text_heads = text_encoder.config.num_attention_heads
        heads = config.generator_heads or text_heads
        hidden = config.generator_width or text_encoder.config.intermediate_size
        self.visual: VisualBranch | None = None
        if vision_encoder is not None and config.sees:
            with beside_text(config):
                self.visual = VisualBranch(config, vision_encoder, text_width=width, heads=heads, hidden=hidden)
            config = config.replace(n_visual_tokens=self.visual.n_tokens)
        self.config = config.replace(visual_branch=self.visual is not None)
        n_generators = min(config.n_bga_layers, 1) if config.shared_generators else config.n_bga_layers
        self.generators = nn.ModuleList(
            CrossModalGenerator(config.n_visual_tokens, width, heads=heads, hidden=hidden, dropout=config.dropout)
            for _ in range(n_generators)
        )
        vision_width = config.vision["hidden_size"] if config.vision is not None else width
        self.layers = nn.ModuleList(
            BGALayer(config, layer, width=width, vision_width=vision_width, heads=text_heads)
            for layer in range(config.n_bga_layers)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.crf = CRF(config.labels)
        self.head = nn.Linear(width, len(self.crf.tags))
        self.words: WordGenerator | None = None
        self.reader: WordReader | None = None
        if config.words:
            with beside_text(config):
                self.words = WordGenerator(
                    text_encoder.word_embeddings.embedding_dim,
                    vision_width,
                    components=config.word_components,
                    hidden=config.word_width,
                    dropout=config.dropout,
                )
            self.reader = WordReader(config.word_components, len(config.labels))
            text_encoder.word_embeddings.requires_grad_(False)  # see `bind_words`
        # What the text attends to; other than "generated" only to measure what that is worth.
        self.context: Context = "generated"

    def bind_words(self) -> None:
        """Freeze the embeddings that words generate from while that is read: what was learnt of a word is bound to
        them. Else they learn as those of text alone."""
        if self.words is not None:
            self.text_encoder.word_embeddings.requires_grad_(not self.reads)

    def forward(self, text: TextBatch, *, allowed: Tensor, images: VisualBatch | None = None) -> Losses:
        """The objective: `L = L_crf + w_recon L_recon + w_cycle L_cycle + w_ratio L_ratio + w_contrast L_contrast +
        w_words L_words`, see `losses.match` for the last.

        text (TextBatch): The documents. allowed (Tensor): (B, t, L) bool, the tags that each token may have.
        images (Optional[VisualBatch]): The images of those that have one.
        RETURNS (dict[str, Tensor]): The terms by name, unweighted scalars, and "total". Terms without an example
            to learn from are absent.
        """
        return self.learn(text, allowed=allowed, images=images)[0]

    def learn(
        self, text: TextBatch, *, allowed: Tensor, images: VisualBatch | None = None, whole: bool = False
    ) -> tuple[Losses, Tensor | None]:
        """The objective, and what it was computed from.

        whole (bool): Whether somebody else learns from the features, too: those of all documents are computed, whether
            or not the objective needs them.
        RETURNS (tuple[dict[str, Tensor], Optional[Tensor]]): What `forward` returns; the features of the wordpieces
            (W, n, d), if `whole`.
        """
        if images is not None and self.visual is None:
            raise BGAError(Errors.B107)
        annotated = self._annotated(text, allowed)
        tagged = bool(annotated.any())
        config = self.config
        encoding = None
        terms: Losses = {}
        veiled, read = self._draw_veiled(text, allowed)
        shown = text if veiled is None else text.hide(veiled, config.mask_id)
        if config.text_layers or whole:
            encoding = self.encode(shown, images=images if config.text_layers else None, tagged=tagged or whole)
            terms |= encoding.terms
        if images is not None and self.words is not None:
            terms["words"] = self._match(text, images, encoding.stages if encoding else ())
        if tagged:
            hidden = encoding.hidden if encoding else self._encode_some(shown, text.windows_of(annotated))
            terms["crf"] = self._crf_loss(hidden, text, allowed, annotated, read)
        weights = {
            "crf": 1.0,
            "recon": config.recon_weight,
            "cycle": config.cycle_weight,
            "ratio": config.ratio_weight,
            "contrast": config.contrast_weight,
            "words": config.word_weight,
        }
        start = self.head.weight.new_zeros(())
        terms["total"] = sum((weights[name] * term for name, term in terms.items()), start)
        return terms, encoding.hidden if encoding and whole else None

    def encode(
        self, text: TextBatch, *, images: VisualBatch | None = None, real: bool = False, tagged: bool = True
    ) -> Encoding:
        """Run the text branch and, beside it, the visual one where there are images.

        text (TextBatch): The documents. images (Optional[VisualBatch]): The images of those that have one.
        real (bool): Whether these attend to the real features of their images, in place of generated ones.
        tagged (bool): Whether the features will be tagged. Else the layers from the last BGA layer on are not run:
            what it generates doesn't depend on them.
        RETURNS (Encoding): What came of it.
        """
        real_context = 1.0 if real else self.config.real_context * self.training
        ids, mask = text.ids, text.mask
        windows = arrange(mask)
        hidden = windows.pack(self.text_encoder.embed(ids, mask))
        states = VisualStates(self.visual, images) if images is not None and self.visual is not None else None
        stages: list[Stage] = []
        terms: dict[str, list[Tensor]] = {}
        for index in range(self.text_encoder.n_layers):
            if index not in self.config.text_layers:
                hidden = self.text_encoder.layer(index, hidden, windows)
                continue
            number = self.config.text_layers.index(index)
            layer = cast(BGALayer, self.layers[number])
            tokens = windows.unpack(hidden)
            sampled = layer.sample(tokens, mask, stages[-1].text.kept if stages else mask.to(hidden.dtype))
            generated = self.generate(number, tokens, sampled.kept)
            visual, shown = None, generated
            if states is not None and images is not None:
                previous = stages[-1].visual if stages else None
                visual, new = self._align(number, states, sampled.select(images.rows), generated[images.rows], previous)
                shown = mix_in(visual, generated, images.rows, rate=real_context)
                for name, term in new.items():
                    terms.setdefault(name, []).append(term)
            stages.append(Stage(sampled, visual, generated))
            if not tagged and len(stages) == len(self.layers):
                break
            hidden = self.text_encoder.layer(
                index, hidden, windows, context=self._shown(layer.to_text(shown)), context_gate=layer.context_gate
            )
        return Encoding(
            windows.unpack(hidden), {name: torch.stack(values).mean() for name, values in terms.items()}, stages
        )

    def generate(self, number: int, memory: Tensor, kept: Tensor) -> Tensor:
        """G_t2v: (W, m, d_v) visual features by a BGA layer's number, from textual tokens (W, n, d) and their mask."""
        generator = self.generators[0 if self.config.shared_generators else number]
        return cast(BGALayer, self.layers[number]).to_vision(generator(memory, kept))

    def _align(
        self, number: int, states: VisualStates, text: Sampled, generated: Tensor, previous: Sampled | None
    ) -> tuple[Sampled, Losses]:
        """RETURNS (tuple[Sampled, dict[str, Tensor]]): The visual tokens of a BGA layer, and its alignment terms."""
        layer = cast(BGALayer, self.layers[number])
        tokens, valid = states.enter(number)
        visual = layer.sample_visual(states.branch, tokens, valid, None if previous is None else previous.kept)
        terms, pseudo_text = layer.align(
            text, visual, generated, states.branch, text_to_visual=partial(self.generate, number)
        )
        if states.hidden is not None:  # cached features need no visual extractor
            states.leave(number, layer.to_vision(pseudo_text), text.valid)
        return visual, terms

    def _encode_some(self, text: TextBatch, windows: Tensor) -> Tensor:
        """RETURNS (Tensor): (W, n, d) features of the wordpieces of some windows; zeros for the others, which without
        BGA layers have nothing to learn from them."""
        hidden = self.encode(text.select(windows)).hidden
        return hidden.new_zeros(*text.ids.shape, hidden.shape[-1]).index_copy(0, windows, hidden)

    def _match(self, text: TextBatch, images: VisualBatch, stages: Sequence[Stage]) -> Tensor:
        """RETURNS (Tensor): How well words explain the patches of their images, see `losses.match`."""
        assert self.visual is not None
        words, owners = self.imagine([text]), images.owners(text)
        tokens, valid = self.patches(images, stages)
        tokens = tokens.detach() if self.config.detach_targets else tokens
        there, temperature = owners >= 0, self.config.word_temperature
        return match(words[there], owners[there], tokens, valid, temperature=temperature)

    def patches(self, images: VisualBatch, stages: Sequence[Stage] = ()) -> tuple[Tensor, Tensor]:
        """RETURNS (tuple[Tensor, Tensor]): (I, p, d_v) the patches that enter the last of the vision layers,
        which any stages have already, and which of them are there (I, p), bool."""
        assert self.visual is not None
        if stages and (visual := stages[-1].visual) is not None:
            tokens, valid = visual.tokens, visual.valid
        else:
            tokens, valid = VisualStates(self.visual, images).enter(len(self.config.vision_layers) - 1)
        return tokens[:, self.visual.patches], valid[:, self.visual.patches]

    def emissions(self, hidden: Tensor, text: TextBatch, *, read: Tensor | None = None) -> Tensor:
        """RETURNS (Tensor): (tokens, L) scores of the tags, from features of the wordpieces (W, n, d). read
        (Optional[Tensor]): (tokens,) bool, of which words what they look like is read; None for all."""
        scores = self.head(self.dropout(merge_wordpieces([(hidden, text)])))
        if not self.reads:
            return scores
        return scores + (self._read([text]) if read is None else self._read([text]) * read.unsqueeze(-1))

    @torch.inference_mode()
    def tag(
        self,
        chunks: Iterable[TextBatch],
        images: Iterable[VisualBatch | None] = (),
        *,
        encode: Callable[[Tensor, Tensor], Tensor] | None = None,
        heard: list[Tensor] | None = None,
    ) -> Tensor:
        """Emissions of documents whose windows come in chunks, so that long and short ones need not be padded alike.

        chunks (Iterable[TextBatch]): At least one; together they hold every window, each names all documents.
        images (Iterable[Optional[VisualBatch]]): Those of each chunk, to attend to their real features.
        encode (Optional[Callable]): What to run in place of the text branch, such as its exported graph: from ids
            (W, n) and mask (W, n) to features (W, n, d). It knows no images: chunks with one do without it.
        heard (Optional[list[Tensor]]): Takes the features (W, n, d) of each chunk, for others to hear of.
        RETURNS (Tensor): (tokens, L).
        """
        device = self.head.weight.device
        texts = [chunk.to(device) for chunk in chunks]
        moved = zip_longest(texts, (i and i.to(device) for i in images))

        def features(text: TextBatch, images: VisualBatch | None) -> Tensor:
            if encode is not None and images is None and len(text.ids):  # not every engine knows an empty batch
                hidden = encode(text.ids, text.mask).to(device)
            else:
                hidden = self.encode(text, images=images, real=True).hidden
            if heard is not None:
                heard.append(hidden)
            return hidden

        scores = self.head(merge_wordpieces((features(text, i), text) for text, i in moved))
        return scores + self._read(texts) if self.reads else scores

    def set_dropout(self, rate: float) -> None:
        """Set the rate of every dropout on the text side, the encoder's own included. What is frozen gets none: it
        can't learn to do without what is dropped."""
        self.dropout.p = rate
        visual = self.visual.generators if self.visual is not None else ()
        words = () if self.words is None else (self.words,)
        for module in [self.text_encoder, self.generators, *words, *visual]:
            learns = any(parameter.requires_grad for parameter in module.parameters())
            for part in module.modules():
                if isinstance(part, nn.Dropout):
                    part.p = rate if learns else 0.0

    def _annotated(self, text: TextBatch, allowed: Tensor) -> Tensor:
        """RETURNS (Tensor): (B,) bool, the documents with a token that may not have every tag."""
        _, mask = pad_documents(allowed.new_zeros(text.n_tokens), text.lengths)
        return (~allowed & mask.unsqueeze(-1)).flatten(1).any(1)

    def _crf_loss(
        self, hidden: Tensor, text: TextBatch, allowed: Tensor, annotated: Tensor, read: Tensor | None
    ) -> Tensor:
        """RETURNS (Tensor): Negative log likelihood, the mean over the annotated documents (B,)."""
        emissions, mask = pad_documents(self.emissions(hidden, text, read=read), text.lengths)
        return self.crf(emissions[annotated], allowed[annotated], mask[annotated]).mean()

    def drop_visual_branch(self) -> None:
        """Leave out what only training from images needs."""
        self.visual = None
        self.config = self.config.replace(visual_branch=False)

    def set_labels(self, labels: tuple[str, ...]) -> None:
        """Change the labels; what was learnt of those that stay is kept."""
        old_tags, old_head, old_crf, old_labels = self.crf.tags, self.head, self.crf, self.config.labels
        device = old_head.weight.device
        self.crf = CRF(labels).to(old_head.weight)  # its device and its type
        self.config = self.config.replace(labels=labels)
        self.head = nn.Linear(old_head.in_features, len(self.crf.tags)).to(old_head.weight)
        places = {tag: i for i, tag in enumerate(old_tags)}
        pairs = [(new, places[tag]) for new, tag in enumerate(self.crf.tags) if tag in places]
        new_index, old_index = (torch.tensor(column, device=device) for column in zip(*pairs, strict=True))
        if self.reader is not None:
            self.reader = self.reader.relabelled(old_labels, labels)
        with torch.no_grad():
            self.head.weight[new_index] = old_head.weight[old_index]
            self.head.bias[new_index] = old_head.bias[old_index]
            self.crf.start[new_index] = old_crf.start[old_index]
            self.crf.end[new_index] = old_crf.end[old_index]
            self.crf.transitions[new_index[:, None], new_index] = old_crf.transitions[old_index[:, None], old_index]

    def saved_state(self, *, visual_branch: bool) -> dict[str, Tensor]:
        """RETURNS (dict[str, Tensor]): The weights to save."""
        return {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in self.state_dict().items()
            if visual_branch or not name.startswith(VISUAL_PREFIX)
        }

    def saved_config(self, *, visual_branch: bool) -> BGAConfig:
        """RETURNS (BGAConfig): The settings to save beside `saved_state`."""
        return self.config.replace(visual_branch=visual_branch and self.visual is not None)

    def save_pretrained(self, folder: Path | str, *, visual_branch: bool = True) -> None:
        """Write config.json and model.safetensors.

        folder (Path | str): Made if it isn't there. visual_branch (bool): Whether to write the visual branch too.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = self.saved_config(visual_branch=visual_branch)
        (folder / CONFIG_FILE).write_text(config.to_json(), encoding="utf8")
        weights = save(self.saved_state(visual_branch=visual_branch), metadata={"format": "pt"})
        (folder / WEIGHTS_FILE).write_bytes(weights)  # safetensors' own `save_file` lets nobody else read it

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> BGAModel:
        """Read what `save_pretrained` wrote. Raises a BGAError if it isn't there or doesn't fit."""
        folder = Path(folder)
        try:
            config = BGAConfig.from_json((folder / CONFIG_FILE).read_text(encoding="utf8"))
            state = load_file(folder / WEIGHTS_FILE)
        except BGAError:
            raise
        except Exception as error:  # safetensors has an exception of its own, which is no OSError
            raise BGAError(Errors.B109.format(path=folder, error=error)) from error
        return cls.from_state(config, state, source=str(folder))

    def start_from(self, folder: Path | str) -> None:
        """Take over the weights of an aligner that `save_pretrained` wrote, to go on learning.

        The tagger's are left out if that aligner has other labels, as one that learnt from pairs alone. A text-only
        aligner takes over the text encoder.
        folder (Path | str): Raises a BGAError if it isn't there, or is of another shape.
        """
        other = BGAModel.from_pretrained(folder)
        text_only = not self.config.sees
        own = {}
        if text_only or other.config.labels != self.config.labels:
            own = {name: tensor for name, tensor in self.state_dict().items() if belongs_to_tagger(name)}
        shared = {
            name: tensor
            for name, tensor in other.state_dict().items()
            if not (own and belongs_to_tagger(name)) and (not text_only or name.startswith("text_encoder."))
        }
        state = shared | own
        try:
            self.load_state_dict(state)
        except RuntimeError as error:
            raise BGAError(Errors.B115.format(path=folder, error=error)) from error

    @classmethod
    def from_config(cls, config: BGAConfig) -> BGAModel:
        """RETURNS (BGAModel): An aligner with random weights."""
        vision: VisionEncoder | GivenFeatures | None = None
        if config.visual_branch and config.vision is not None and config.sees:
            if is_given(config.vision):
                vision = GivenFeatures.from_config(config.vision)
            else:
                vision = VisionEncoder.from_config(encoder_config(config.vision))
        return cls(config, TextEncoder.from_config(encoder_config(config.text)), vision)

    @classmethod
    def from_state(cls, config: BGAConfig, state: dict[str, Tensor], *, source: str = "bytes") -> BGAModel:
        """RETURNS (BGAModel): An aligner with these weights. Raises a BGAError if they don't fit the config."""
        state = {name: tensor for name, tensor in state.items() if not name.startswith(MEMORY_PREFIX)}
        try:
            with undrawn_weights():
                check_weights(lambda: cls.from_config(config), config, state, source=source)
                model = cls.from_config(config)
            lay_out_for_tagging(model)
            model.load_state_dict(state)
        except BGAError:
            raise
        except Exception as error:  # an encoder's configuration that makes no sense fails anywhere within transformers
            raise BGAError(Errors.B108.format(path=source, error=reason(error))) from error
        return model.eval()


def beside_text(config: BGAConfig) -> AbstractContextManager[None]:
    """RETURNS (ContextManager): One in which random numbers can be drawn for the visual side, and the text side gets
    those that it gets without: where pictures add nothing, a seed gives the tagger that it gives from text alone. Not
    with BGA layers, where both sides are one."""
    return torch.random.fork_rng(enabled=not config.text_layers)


def belongs_to_tagger(name: str) -> bool:
    """RETURNS (bool): Whether a parameter is learnt by tagging alone: the head's, the CRF's, and the gates, which are
    what tagging makes of generated features."""
    return name.startswith(("head.", "crf.", "reader.")) or name.endswith(".context_gate")


def encoder_config(data: dict) -> PretrainedConfig:
    """RETURNS (PretrainedConfig): An encoder's configuration from its dict. Raises a BGAError if it is none."""
    settings = dict(data)
    try:
        return AutoConfig.for_model(settings.pop("model_type"), **settings)
    except Exception as error:  # each family's configuration checks its values, or doesn't, in its own way
        raise BGAError(Errors.B105.format(error=reason(error))) from error

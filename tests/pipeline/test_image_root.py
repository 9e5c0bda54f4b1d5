"""The component itself keeps to an image root, whatever reader was used; and it says so once."""

from __future__ import annotations

import copy
import pickle
import warnings
from pathlib import Path

import pytest
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Corpus, Example

from spacy_bga.corpus.image_corpus import ImageCorpus
from spacy_bga.corpus.images import ImageFile, find_image
from spacy_bga.errors import ImageError
from tests.conftest import encode_picture
from tests.pipeline.conftest import POSTS, make_example, make_examples, pipe_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image root with a picture, and one beside it, which nobody may see. The working directory has one, too."""
    (tmp_path / "photos").mkdir()
    for name in ("photos/0.png", "secret.png", "here.png"):
        (tmp_path / name).write_bytes(encode_picture(0))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(nlp: Language, folder: Path, image: object) -> list[Example]:
    """The posts as spaCy's own reader gives them."""
    docs = [make_example(nlp, text, ents, image=image).reference for text, ents in POSTS]
    DocBin(docs=docs, store_user_data=True).to_disk(folder / "posts.spacy")
    return list(Corpus(folder / "posts.spacy")(nlp))


@pytest.mark.parametrize("rooted", [False, True])
@pytest.mark.parametrize("image", ["../secret.png", "/SECRET", "here.png", ["../secret.png", b"crop"]])
def test_nothing_outside_is_read(make_nlp, folder: Path, image: object, rooted: bool, monkeypatch: pytest.MonkeyPatch):
    opened: list[Path] = []
    open_file = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *args, **kw: opened.append(path) or open_file(path, *args, **kw))
    nlp = make_nlp(image_root=str(folder / "photos") if rooted else None)
    if image == "/SECRET":
        image = str(folder / "secret.png")
    with pytest.warns(UserWarning, match="W201") as told:
        losses = nlp.update(read(nlp, folder, image), sgd=nlp.create_optimizer())
    assert len(told) == 1  # for six posts
    assert losses["bga_ner_recon"] == 0.0 < losses["bga_ner_crf"]
    assert not [path for path in opened if path.suffix == ".png"]
    pipe_of(nlp).on_missing = "error"
    with pytest.raises(ImageError, match="B30[34]" if rooted else r"B207.*image_root"):
        nlp.update(read(nlp, folder, image))


def test_below_the_root_it_is_found(make_nlp, folder: Path):
    nlp = make_nlp(image_root=str(folder / "photos"))
    examples = read(nlp, folder, "0.png")
    assert nlp.update(examples, sgd=False)["bga_ner_recon"] > 0
    (found,) = pipe_of(nlp).images.of(examples[0])
    assert isinstance(found, ImageFile)
    assert Path(found).read_bytes() == encode_picture(0)


def test_what_our_reader_has_found_needs_no_other_root(make_nlp, folder: Path):
    nlp = make_nlp()
    read(nlp, folder, "0.png")
    examples = list(ImageCorpus(folder / "posts.spacy", images=folder / "photos")(nlp))
    assert nlp.update(examples, sgd=False)["bga_ner_recon"] > 0


def test_initialize_tells_of_all_at_once(make_nlp, folder: Path):
    nlp = make_nlp(image_root=str(folder / "photos"))
    examples = [make_example(nlp, text, ents, image=f"no/{i}.png") for i, (text, ents) in enumerate(POSTS)]
    with pytest.warns(UserWarning, match=r"W201\] 6 images") as told:
        nlp.initialize(lambda: examples)
    assert len(told) == 1


def test_either_side(make_nlp, folder: Path):
    """The reference's images come first; those of the document to tag count where it has none."""
    nlp = make_nlp(image_root=str(folder / "photos"))
    doc = nlp.make_doc("love paris !")
    doc._.image = "0.png"
    example = Example.from_dict(doc, {"entities": [(5, 10, "LOC")]})
    assert nlp.update([example], sgd=False)["bga_ner_recon"] > 0
    example.reference._.image = encode_picture(3)
    assert pipe_of(nlp).images.of(example) == [encode_picture(3)]


def test_a_text_only_component_asks_for_no_root(make_nlp, folder: Path):
    nlp = make_nlp(text_only=True, on_missing="error")
    assert nlp.update(read(nlp, folder, "0.png"), sgd=False)["bga_ner_crf"] > 0


def test_the_mark_stays_in_this_process(folder: Path):
    """Copies keep it; what is written and read again is a path like any other."""
    file = find_image("0.png", folder / "photos")
    assert all(type(twin) is ImageFile for twin in (copy.deepcopy([file])[0], pickle.loads(pickle.dumps(file))))


def test_a_saved_document_does_not_carry_the_mark(nlp: Language, folder: Path):
    doc = make_example(nlp, "love paris !", None, image=[find_image("0.png", folder / "photos")]).reference
    (again,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)
    assert [type(image) for image in again._.image] == [str]


class TestInitializedWithoutAnyImage:
    @pytest.fixture(autouse=True)
    def _told(self, recwarn: pytest.WarningsRecorder):
        warnings.simplefilter("always")

    @staticmethod
    def told(recwarn: pytest.WarningsRecorder) -> list[str]:
        return [str(warning.message) for warning in recwarn if "W214" in str(warning.message)]

    def test_one_that_could_learn_from_them(self, make_nlp, recwarn: pytest.WarningsRecorder):
        make_nlp()
        (message,) = self.told(recwarn)
        assert all(part in message for part in ("6 examples", "store_user_data=True", "image_attr"))

    def test_one_that_could_not(self, make_nlp, recwarn: pytest.WarningsRecorder):
        make_nlp(text_only=True)
        assert not self.told(recwarn)

    def test_images_are_there(self, make_nlp, recwarn: pytest.WarningsRecorder):
        make_nlp(images=True)
        assert not self.told(recwarn)

    def test_it_was_learnt_before(self, make_nlp, trained_folder: Path, recwarn: pytest.WarningsRecorder):
        nlp = make_nlp(images=True)
        pipe_of(nlp).initialize(lambda: make_examples(nlp), aligner=trained_folder)
        assert not self.told(recwarn)


@pytest.mark.parametrize(("max_crops", "told"), [(0, 2), (1, 1), (2, 0)])
def test_several_pictures(make_nlp, max_crops: int, told: int, recwarn: pytest.WarningsRecorder):
    nlp = make_nlp(model={"max_crops": max_crops})
    examples = make_examples(nlp, images=True)
    for i in (1, 2):
        examples[i].reference._.image = [encode_picture(seed) for seed in range(i + 1)]
    recwarn.clear()
    warnings.simplefilter("always")
    nlp.initialize(lambda: examples)
    messages = [str(warning.message) for warning in recwarn]
    assert [message.split()[1] for message in messages if "W215" in message] == ([str(told)] if told else [])


def test_no_label_is_an_error_unless_it_only_aligns(make_nlp):
    nlp = make_nlp()
    pairs = make_examples(nlp, labels=False, images=True)
    pipe_of(nlp).cfg["labels"] = []
    with pytest.raises(ValueError, match=r"B204.*score_alignment"):
        nlp.initialize(lambda: pairs)
    pipe_of(nlp).score_alignment = True
    nlp.initialize(lambda: pairs)
    assert pipe_of(nlp).labels == ()

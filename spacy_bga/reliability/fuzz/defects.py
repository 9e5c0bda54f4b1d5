"""What the campaign, and those who built it, have found broken; each is mended, and has a test that it stays so."""

from __future__ import annotations

DEFECTS = (
    (
        "A lone surrogate in one text ended the whole stream of `nlp.pipe`; `make_docs` reads any text.",
        "tests/corpus/test_texts.py::TestStream::test_what_cannot_be_read_costs_no_other",
    ),
    (
        "8,000 brackets or emoji without a space took spaCy's tokenizer 5 seconds, 20,000 a minute.",
        "tests/corpus/test_texts.py::test_thousands_of_brackets_take_no_time",
    ),
    (
        "The same, when a corpus with such a word was read to train on it.",
        "tests/corpus/test_image_corpus.py::test_a_word_of_thousands_of_brackets_takes_no_minute",
    ),
    (
        "A JSONL line longer than `nlp.max_length` ended `convert`, and the other lines were lost.",
        "tests/corpus/test_convert.py::test_a_text_that_is_too_long_costs_no_other_line",
    ),
    (
        "Names of files, labels and image ids could write control characters to the terminal, in messages ...",
        "tests/test_errors.py::test_what_a_message_quotes_drives_nothing",
    ),
    (
        "... and in the report of `convert`.",
        "tests/corpus/test_convert.py::test_a_report_drives_no_terminal",
    ),
    (
        "A message quoted a line of megabytes in full.",
        "tests/test_errors.py::test_what_a_message_quotes_may_be_a_line_of_megabytes",
    ),
    (
        "A small progressive JPEG of thousands of scans took 20 seconds and more to decode.",
        "tests/corpus/test_images.py::TestBombs::test_a_jpeg_of_many_scans_is_refused",
    ),
    (
        'With `visual_context = "real"`, an image that replaced another under its name was taken for the old one.',
        "tests/pipeline/test_visual_context.py::TestReal::test_a_file_may_be_another_one_the_next_time",
    ),
    (
        'With `visual_context = "real"`, the features of every image ever seen were kept in memory.',
        "tests/pipeline/test_visual_context.py::TestReal::test_memory_does_not_grow_with_the_images",
    ),
    (
        "Most settings took values of any type and size, and failed somewhere within torch, or became memory.",
        "tests/aligner/test_config.py::test_every_setting_refuses_what_it_can_not_be",
    ),
    (
        "`bga_layers = 1000000000` made a list of so many numbers before it was refused.",
        "tests/aligner/test_config.py::test_a_number_of_layers_takes_no_memory",
    ),
    (
        "A saved configuration with 200,000 layers took 200 seconds and 13 GB before its weights were looked at.",
        "tests/pipeline/test_shim.py::TestDamage::test_an_encoder_of_another_size_takes_no_memory",
    ),
    (
        "Weights that are no numbers were loaded, and every text was tagged with nonsense.",
        "tests/pipeline/test_shim.py::TestDamage::test_weights_that_are_no_numbers",
    ),
    (
        "Labels in `cfg` in another order than the model's were given to entities, without a word.",
        "tests/pipeline/test_shim.py::TestDamage::test_labels_that_are_not_the_models",
    ),
    (
        "A damaged `cfg` or vocabulary raised whatever srsly and spaCy raise.",
        "tests/pipeline/test_shim.py::TestDamage::test_broken_settings",
    ),
    (
        "Whatever else was wrong with a pipeline's folder came out of the console as a traceback.",
        "tests/viewer/test_view.py::test_a_damaged_pipeline_is_told_of",
    ),
    (
        "A graph for ONNX Runtime that is not the model's raised whatever the engine and torch raise.",
        "tests/pipeline/test_backends.py::TestRefused::test_a_graph_of_something_else_is_refused",
    ),
    (
        "A tokenizer's folder with code of its own made transformers ask on the terminal whether to run it.",
        "tests/test_no_code_execution.py::test_code_beside_a_tokenizer_is_not_run",
    ),
    (
        "What the Hub sent was not compared with the digests that it gives.",
        "tests/pipeline/test_encoders.py::test_hub_file_with_another_digest_is_refused",
    ),
    (
        "A broken list of an encoder's shards raised whatever the parser of JSON raises.",
        "tests/pipeline/test_encoders.py::test_broken_list_of_shards",
    ),
    (
        "A page whose title holds a lone surrogate could not be written.",
        "tests/viewer/test_page.py::test_a_title_that_no_file_can_hold",
    ),
    (
        "The demo's messages were Markdown: what they quote could make a link, or ask for an image.",
        "tests/viewer/test_demo.py::test_a_message_is_shown_as_it_is",
    ),
    (
        "An image and its crops could make so many visual tokens that no training would ever end.",
        "tests/aligner/test_visual.py::test_too_many_visual_tokens",
    ),
    (
        "A tokenizer whose vocabulary was lost loaded, and failed at the first unknown word.",
        "tests/pipeline/test_wordpieces.py::TestSplit::test_lost_vocabulary",
    ),
)

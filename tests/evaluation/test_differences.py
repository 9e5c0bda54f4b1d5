from __future__ import annotations

import numpy as np
import pytest

from spacy_bga.evaluation.bootstrap import f1, paired_bootstrap, seed_interval
from spacy_bga.evaluation.costs import base_cpu, total_cpu
from spacy_bga.evaluation.differences import find_differences, image_differences
from tests.evaluation.made_records import counted, make_counts, make_record, seeing, untested


def test_a_difference_is_over_the_seeds_that_both_have():
    ours = [counted("bga_pairs", seed, right, compare_to="text_only") for seed, right in ((0, 83), (1, 85), (3, 99))]
    theirs = [counted("text_only", seed, right) for seed, right in ((0, 80), (1, 81), (2, 10))]
    found = find_differences([*theirs, *ours])
    assert list(found) == ["bga_pairs"]
    difference = found["bga_pairs"]
    assert (difference.run, difference.other, difference.seeds) == ("bga_pairs", "text_only", (0, 1))
    first, second = ([np.array(make_counts(right)) for right in rights] for rights in ((83, 85), (80, 81)))
    values = [f1(one) - f1(other) for one, other in zip(first, second, strict=True)]
    assert difference.interval == paired_bootstrap(first, second)
    assert difference.mean == pytest.approx(np.mean(values))
    assert difference.over_seeds == seed_interval(values)


def test_looking_at_the_images_is_compared_with_not_looking_and_with_the_other_run():
    text = [counted("text_only", seed, 80 + seed) for seed in (0, 1, 2)]
    bga = [seeing("bga", seed, 82, 90 + seed, compare_to="text_only") for seed in (0, 1)]
    with_itself, with_text = image_differences([*text, *bga])
    looking = [np.array(make_counts(90 + seed)) for seed in (0, 1)]
    for found, other, rights in ((with_itself, "bga", (82, 82)), (with_text, "text_only", (80, 81))):
        assert (found.run, found.other, found.seeds) == ("bga", other, (0, 1))
        assert found.interval == paired_bootstrap(looking, [np.array(make_counts(right)) for right in rights])
    assert image_differences(text) == []
    assert [found.other for found in image_differences([seeing("alone", 0, 80, 80)])] == ["alone"]
    assert find_differences([*text, *bga])["bga"].mean == pytest.approx(1.0, abs=0.5)


def test_old_records_have_no_counts():
    ours = [make_record("bga_pairs", seed, 81.0 + seed, compare_to="text_only") for seed in (0, 1)]
    found = find_differences([counted("text_only", 0, 80), make_record("text_only", 1, 80.0), *ours])["bga_pairs"]
    assert found.interval is None
    assert found.mean == pytest.approx((81 - 88.89 + 2) / 2)
    assert found.over_seeds is not None


def test_what_has_nothing_in_common_is_not_compared():
    base = counted("text_only", 0, 80)
    assert find_differences([base, counted("bga_pairs", 0, 81)]) == {}
    for other in (
        counted("bga_pairs", 1, 81, compare_to="text_only"),
        counted("bga_pairs", 0, 81, compare_to="nothing"),
        counted("bga_pairs", 0, 81, compare_to="text_only", files={"test": "another"}),
        untested("bga_pairs", 0, compare_to="text_only"),
    ):
        assert find_differences([base, other]) == {}


def test_the_cost_is_that_of_all_that_came_before():
    first = untested("first", 0, cpu_s=100.0)
    second = make_record("second", 0, 80.0, cpu_s=20.5, starts_from={"run": "first", "seed": 0})
    third = make_record("third", 4, 80.0, cpu_s=3.0, starts_from={"run": "second", "seed": 0})
    records = [first, second, third]
    assert [base_cpu(record, records) for record in records] == [0, 100, 120.5]
    assert [total_cpu(record, records) for record in records] == [100, 120.5, 123.5]
    assert total_cpu(third, [second, third]) is None
    assert total_cpu({**first, "cpu_s": None}, records) is None

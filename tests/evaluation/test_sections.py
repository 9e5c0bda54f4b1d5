"""The sections of the results page that compare runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spacy_bga.errors import BGAError
from spacy_bga.evaluation.differences import image_differences
from spacy_bga.evaluation.plots import draw_figures, find_curves
from spacy_bga.evaluation.results import read_results, write_results
from tests.evaluation.made_records import counted, make_alignment, seeing, untested, write_records

PLAN = {"plan": "ablation"}


def write_plan_records(folder: Path) -> None:
    about = {"compare_to": "text_only", "starts_from": {"run": "align", "seed": 0}, "about": "all | of it"}
    write_records(
        folder,
        [
            untested("align", 0, about="pairs alone", position=0, alignment={"news": make_alignment(40.0)}, **PLAN),
            *(counted("text_only", seed, 80 + seed, position=1, cpu_s=600.0, **PLAN) for seed in (0, 1)),
            *(counted("bga", seed, 84, position=2, **about, **PLAN) for seed in (0, 1)),
        ],
    )


def write_page(tmp_path: Path) -> str:
    write_results(tmp_path / "runs", tmp_path / "results.md", tmp_path / "evidence" / "main.json")
    return (tmp_path / "results.md").read_text(encoding="utf8")


def test_the_page_compares_the_runs_of_a_plan(tmp_path: Path):
    write_plan_records(tmp_path / "runs")
    page = write_page(tmp_path)
    [found] = read_results(tmp_path / "runs").differences["ablation"].values()
    assert found.interval is not None
    assert found.over_seeds is not None
    texts, seeds = (f"{low:+.2f} to {high:+.2f}" for _, low, high in (found.interval, found.over_seeds))
    for line in (
        "| `text_only` | mean of 2 | 88.19 ± 0.43 | 90.19 ± 0.43 | 89.19 ± 0.43 |  |  |  |  |  |",
        f"| `bga` | `text_only` | 0, 1 | +2.11 | {texts} | {seeds} |",
        "- The 2 seeds of `bga` start from 1 of `align`, which take turns: in what they owe to it they are not "
        "independent.",
        f"| `bga` | all \\| of it | 2 | 91.30 | 91.30 ± 0.00 | +2.11 | {texts} |",
        "| `align` | 1,200 | 0 | 1,200 | – |",
        "| `text_only` | 600 | 0 | 600 | – |",
        "| `bga` | 1,200 | 1,200 | 2,400 | 4.00 × |",
        "| `align` | pairs alone | 0 | 40.00 | 3.00 | 1,234 | 1,200 | 1 | `abc1234` |",
        "| `align` | news | text → image | 1 | 500 | 1.00 | 5.00 | 40.00 | 38.00 to 42.00 | 2.00 | 20.00 |",
        "| `align` | news | image → text | 1 | 500 | 1.00 | 5.00 | 41.00 | 38.00 to 42.00 | 2.00 | 21.00 |",
        "| `align` | news | 0.140 | 0.200 | 0.70, 0.60 | 0.50, 0.40 | 0.300 | 0.100 | 0.900 |",
        "| Step | `align` |",
        "| 5 | 40.00 |",
        "![Differences in F1 of the plan ablation](figures/ablation.svg)",
    ):
        assert line in page.splitlines(), line
    # The plan says what is compared to what, and runs without entities have no F1 to show.
    assert "minus F1 of" not in page
    assert "| `align` | 0 | –" not in page
    assert "None" not in page
    svg = (tmp_path / "figures" / "ablation.svg").read_text(encoding="utf8")
    assert "F1 minus that of text_only" in svg
    assert write_page(tmp_path) == page
    assert (tmp_path / "figures" / "ablation.svg").read_text(encoding="utf8") == svg


def test_scores_with_the_real_image_have_a_section(tmp_path: Path):
    text = [counted("text_only", seed, 80, position=0, **PLAN) for seed in (0, 1)]
    bga = [seeing("bga", seed, 80, 90, position=1, compare_to="text_only", **PLAN) for seed in (0, 1)]
    write_records(tmp_path / "runs", [*text, *bga])
    page = write_page(tmp_path)
    section = page[page.index("### With the real image") :]
    section = section[: section.index("###", 3)]
    f1 = 200 * 90 / 190
    found = image_differences(bga)[0]
    assert found.interval is not None
    gain = f"{found.interval.low:+.2f} to {found.interval.high:+.2f}"
    for line in (
        "| `bga` | generated | 2 | 87.89 ± 0.00 | 89.89 ± 0.00 | 88.89 ± 0.00 |",
        f"| `bga` | real | 2 | {f1 - 1:.2f} ± 0.00 | {f1 + 1:.2f} ± 0.00 | {f1:.2f} ± 0.00 |",
        f"| `bga` with real features | `bga` with generated ones | 0, 1 | +5.85 | {gain} | +5.85 to +5.85 |",
        f"| `bga` with real features | `text_only` | 0, 1 | +5.85 | {gain} | +5.85 to +5.85 |",
    ):
        assert line in section.splitlines(), line
    assert "the 7 of 10 texts" in section
    assert "`text_only` | generated" not in section
    assert "### With other visual features" not in page  # which are for what no document has


def test_without_matplotlib_the_page_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_plan_records(tmp_path / "runs")
    page = write_page(tmp_path).splitlines()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    other = write_page(tmp_path).splitlines()
    assert len(page) == len(other)
    [(drawn, told)] = [(one, two) for one, two in zip(page, other, strict=True) if one != two]
    assert drawn.startswith("![")
    assert 'pip install "spacy_bga[figures]"' in told


def test_curves_of_few_labels(tmp_path: Path):
    records = [
        counted(f"text_{n}", seed, right + seed, labelled=n, curve="text only", plan="labels")
        for n, right in ((300, 50), (100, 40))
        for seed in (0, 1)
    ]
    records += [counted("the_pairs_300", 0, 60, labelled=300, curve="bga", plan="labels")]
    write_records(tmp_path / "runs", [*records, counted("other", 0, 70, plan="labels")])
    curves = find_curves(records)
    assert list(curves) == ["text only", "bga"]
    elsewhere = counted("elsewhere", 0, 60, labelled=500, plan="labels")  # it names no curve: another test set, say
    assert find_curves([*records, elsewhere]) == curves
    assert find_curves([elsewhere]) == {}
    with pytest.raises(BGAError, match=r"B536.*'bga' with 300.*the_pairs_300 and again"):
        find_curves([*records, counted("again", 0, 60, labelled=300, curve="bga", plan="labels")])
    assert [x for x, *_ in curves["text only"]] == [100, 300]
    assert curves["bga"] == [(300, 75.0, 75.0, 75.0)]
    page = write_page(tmp_path)
    assert "| Labelled texts | text only | bga |" in page
    assert "| 100 | 57.65 ± 0.72 | – |" in page
    assert "| 300 | 67.11 ± 0.62 | 75.00 |" in page
    assert "![Learning curves of the plan labels](figures/labels_labels.svg)" in page
    assert (tmp_path / "figures" / "labels_labels.svg").is_file()


def test_nothing_to_draw_is_no_figure(tmp_path: Path):
    write_records(tmp_path / "runs", [untested("align", 0, **PLAN)])
    assert draw_figures(read_results(tmp_path / "runs")) == {}
    page = write_page(tmp_path)
    assert "## ablation" in page
    assert "### Learning to align" in page
    assert "### Differences" not in page
    assert not (tmp_path / "figures").exists()


def test_what_learnt_to_align_shows_its_recall_whatever_chose_its_weights(tmp_path: Path):
    align = untested("align", 0, about="pairs alone", alignment={"news": make_alignment(40.0)}, dev_best=0.0, **PLAN)
    write_records(tmp_path / "runs", [align, counted("bga", 0, 84, starts_from={"run": "align", "seed": 0}, **PLAN)])
    assert "| `align` | pairs alone | 0 | 40.00 |" in write_page(tmp_path)

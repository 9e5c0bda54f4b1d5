"""What the site has beside its written pages: files that commands of the repository write, and parts made from code."""

from __future__ import annotations

import re
from pathlib import Path

import parts  # mkdocs puts this folder on the path
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent.parent
# Pages of the folder above that a command writes. The site has their place also while there is nothing to read.
WRITTEN = {
    "results.md": "python -m spacy_bga results",
    "performance.md": "python -m spacy_bga benchmark",
    "scale.md": "python -m lab.scale page",
    "reliability.md": "python -m spacy_bga reliability kills",
}
MARK = re.compile(r"^<!-- made of code: (\w+)(?: ([\w.]+))? -->$", re.MULTILINE)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Put pages and evidence that lie outside of the site's folder into the site."""
    for name, command in WRITTEN.items():
        if not (DOCS / name).is_file():
            title = name.removesuffix(".md").capitalize()
            missing = f"# {title}\n\nNothing has been measured yet. This command writes the page: `{command}`\n"
            files.append(File.generated(config, name, content=missing))
    evidence = sorted((DOCS / "evidence").glob("*.json"))
    files.append(File.generated(config, "evidence.md", content=parts.evidence(evidence)))
    for path in [*sorted(DOCS.glob("*.md")), *evidence, *sorted((DOCS / "figures").iterdir())]:
        files.append(File.generated(config, path.relative_to(DOCS).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **kwargs: object) -> str:
    """Put what is made of code where a page has its mark: a function of `parts`, and what it is given."""
    return MARK.sub(lambda mark: getattr(parts, mark[1])(*filter(None, [mark[2]])), markdown)

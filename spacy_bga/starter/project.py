"""A spaCy project of one's own, from the template: `spacy project run all` works in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from spacy_bga.errors import BGAError, Errors
from spacy_bga.starter.embedded import generate
from spacy_bga.starter.template import template_files, template_folder

EMBEDDED = Path("assets") / "embedded"


def init_project(folder: Path) -> list[Path]:
    """Write project.yml, its configs and assets, the embedded corpus among them.

    folder (Path): Where to; made if need be. It may hold other files, but none of these.
    RETURNS (list[Path]): What was copied, by the paths below the folder.
    RAISES (BGAError): Something of the kind is there already: nothing is written then.
    """
    template = template_folder()
    files = template_files(template)
    for path in (*files, EMBEDDED):
        if (folder / path).exists():
            raise BGAError(Errors.B633.format(folder=folder, file=path.as_posix()))
    if folder.exists() and not folder.is_dir():
        raise BGAError(Errors.B634.format(folder=folder))
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template / path, folder / path)
    generate(folder / EMBEDDED)
    return files

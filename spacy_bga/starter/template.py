"""What a project starts from: project.yml, the configs, and the splits that they name.

They lie at the top of the repository. setup.py copies them into the wheel, below this folder, and reads here which.
"""

from __future__ import annotations

from pathlib import Path

PATTERNS = (
    "project.yml",
    "configs/*.cfg",
    "configs/runs/*.yml",
    "configs/runs/*.cfg",
    "assets/*.json",
    "assets/splits/*.json",
    "assets/embedded/README.md",
)
INSTALLED = "project_template"
"""The folder beside this file, in what was installed."""


def template_folder() -> Path:
    """RETURNS (Path): The folder that has project.yml and configs: of what was installed, or else of the repository."""
    here = Path(__file__).parent
    return here / INSTALLED if (here / INSTALLED).is_dir() else here.parents[1]


def template_files(folder: Path) -> list[Path]:
    """RETURNS (list[Path]): The files of the template in a folder, by their paths below it."""
    return sorted(path.relative_to(folder) for pattern in PATTERNS for path in folder.glob(pattern))

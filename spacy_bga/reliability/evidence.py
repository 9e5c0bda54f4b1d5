"""The figures of all campaigns in one file, to which each campaign writes its own alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy_bga.errors import BGAError, Errors
from spacy_bga.evaluation.provenance import commit, versions
from spacy_bga.evaluation.records import read_json, write_json

CAMPAIGNS = "campaigns"


def origin(command: str) -> dict[str, Any]:
    """Tell where figures come from, before they are made.

    command (str): The command.
    RETURNS (dict[str, Any]): "command", "commit" and "versions".
    """
    return {"command": command, "commit": commit(), "versions": versions(("safetensors", "thinc"))}


def record(
    path: Path, campaign: str, figures: Mapping[str, Any], details: Mapping[str, Any], origin: Mapping[str, Any]
) -> dict[str, Any]:
    """Put the figures of a campaign into the file, in the place of its earlier ones; those of others stay.

    path (Path): The JSON file. campaign (str): The campaign's name.
    figures (Mapping[str, Any]): What it is about, for the top of the file. details (Mapping[str, Any]): The rest.
    origin (Mapping[str, Any]): What `origin` returned.
    RETURNS (dict[str, Any]): What the file holds now.
    RAISES (BGAError): The file can't be read, or another campaign has a figure of that name.
    """
    before = read_json(path) or {}
    campaigns = before.get(CAMPAIGNS, {})
    for other, entry in campaigns.items():
        if other != campaign and (shared := figures.keys() & set(entry["figures"])):
            raise BGAError(Errors.B681.format(path=path, name=min(shared), first=other, second=campaign))
    old = campaigns.get(campaign, {}).get("figures", [])
    kept = {name: value for name, value in before.items() if name not in (*old, CAMPAIGNS)}
    entry = {"figures": list(figures), "origin": dict(origin), **details}
    after = {**kept, **figures, CAMPAIGNS: {**campaigns, campaign: entry}}
    write_json(path, after)
    return after


def campaign_details(path: Path, campaign: str) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What a campaign has written into the file; nothing if it hasn't."""
    return ((read_json(path) or {}).get(CAMPAIGNS) or {}).get(campaign) or {}

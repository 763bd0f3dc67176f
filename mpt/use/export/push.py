"""One prompt on the Hugging Face hub: a repository with its files, and a model card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd

from mpt.library.card import base_on_hub, prompt_card
from mpt.library.entry import FILES, KEY
from mpt.library.hub import TIMEOUT, hub_api, pushing
from mpt.library.published import published
from mpt.prompt.files import CARD, read_prompt
from mpt.record.folder import ENSEMBLE, PREDICTIONS, TRIED
from mpt.use.answers.folders import prompt_folder
from mpt.util.errors import UserError
from mpt.util.reading import read_json, read_text

_LEFT = {KEY, TRIED, ENSEMBLE, f"dev_{PREDICTIONS}", f"test_{PREDICTIONS}"}
"""What ``mpt adapt`` writes beside a prompt: it stays, for predictions hold the user's texts."""


@dataclass(frozen=True)
class PushedPrompt:
    """What was pushed.

    Attributes:
        files: their names.
        left: what lay beside them, and stayed.
        base: the model's name on the hub; empty if others cannot load it by its name.
    """

    files: list[str]
    left: list[str]
    base: str


def push_prompt(named: str, where: str, private: bool = False) -> PushedPrompt:
    """Upload a prompt to a repository on the hub, which is made if it is not there.

    A prompt that the repository has is replaced; a card that it has stays as it is.

    Args:
        named: see :func:`mpt.use.answers.folders.prompt_folder`.
        where: ``owner/name``, with or without ``hub:`` before it.
        private: if the repository is made, whether only its owner sees it.

    Raises:
        UserError: the folder holds something else than a prompt; no token, no right to write, no hub; the repository
            holds something else.
    """
    repo = where.removeprefix("hub:")
    api, folder = hub_api(repo), prompt_folder(named)
    facts = read_prompt(folder)[2]
    names = {path.name for path in folder.iterdir()}
    if others := sorted(names - {*FILES, CARD} - _LEFT):
        raise UserError(f"{folder} holds {others[0]}, which is no file of a prompt: take it out, then push")
    config = read_json(folder / FILES[1])
    content: dict[str, Any] = {name: published(folder / name) for name in FILES if name in names}
    content[CARD] = _card(folder, config, facts, repo)
    with pushing(api, repo, private):
        there = _there(api, repo)
        if CARD in there:
            del content[CARD]
        operations = [CommitOperationAdd(name, value) for name, value in content.items()]
        api.create_commit(repo, operations, commit_message="Add a prompt", parent_commit=there[""])
    base = str(config["base_model_name_or_path"]) if base_on_hub(config) else ""
    return PushedPrompt(sorted(content), sorted(names & _LEFT), base)


def _there(api: Any, repo: str) -> dict[str, str]:
    """The repository's files, and by no name its commit."""
    info = api.repo_info(repo, timeout=TIMEOUT)
    names = [file.rfilename for file in info.siblings or []]
    if others := sorted({*names} - {*FILES, CARD, ".gitattributes"}):
        raise UserError(f"hub repository {repo} is no prompt: it holds {others[0]}; give another name")
    return {**dict.fromkeys(names, ""), "": info.sha}


def _card(folder: Path, config: dict[str, Any], facts: dict[str, Any], repo: str) -> bytes:
    """The folder's own card, if a person wrote in it."""
    own = read_text(folder / CARD, "card") if (folder / CARD).is_file() else ""
    return (own if own not in ("", prompt_card(config, facts)) else prompt_card(config, facts, repo)).encode()

"""Repositories of the Hugging Face hub: fetched and pushed to, and what goes wrong there, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, errors, get_token
from huggingface_hub.utils import validate_repo_id

from mpt.library.entry import PROMPTS
from mpt.library.recipe import FILE
from mpt.util.errors import UserError, one_line

TIMEOUT = 10.0
"""Seconds that the first question to the hub may take."""


def fetch(where: str, wanted: Sequence[str] = (FILE, f"{PROMPTS}/*"), kind: str = "prompt library") -> Path:
    """Folder in the Hugging Face cache of a library or prompt on the hub, downloaded as far as it is not there.

    Without a network, what was downloaded before.

    Args:
        where: ``owner/name``, or ``owner/name@revision``.
        wanted: patterns of the files, the first of which has to be there.
        kind: what it is called.

    Raises:
        UserError: there is no such repository, or the hub cannot be reached and nothing was downloaded before.
    """
    repo, _, revision = where.partition("@")
    api = hub_api(repo)
    options: dict[str, Any] = {"allow_patterns": list(wanted)}
    try:
        info = api.repo_info(repo, revision=revision or None, timeout=TIMEOUT)
    except Exception as error:
        if (sentence := _mistake(error, where)) is not None:
            raise UserError(sentence) from error
        try:
            return Path(api.snapshot_download(repo, revision=revision or None, local_files_only=True, **options))
        except Exception:
            raise UserError(f"{_out_of_reach(where, error)}, and it was not downloaded before") from error
    try:
        folder = Path(str(api.snapshot_download(repo, revision=info.sha, **options)))
    except Exception as error:
        raise UserError(f"hub repository {where} could not be downloaded: {one_line(error)}") from error
    if not (folder / wanted[0]).is_file():
        raise UserError(f"hub repository {where} is no {kind}: it has no {wanted[0]}")
    return folder


@contextmanager
def pushing(api: HfApi, repo: str, private: bool) -> Iterator[None]:
    """Push to a repository, which is made first if it is not there.

    Args:
        private: if it is made, whether only its owner sees it.

    Raises:
        UserError: no token, no right to write, no hub.
    """
    if get_token() is None:
        raise UserError("pushing to the Hugging Face hub needs a token: log in with `hf auth login`, or set HF_TOKEN")
    try:
        try:
            api.repo_info(repo, timeout=TIMEOUT)
        except errors.RepositoryNotFoundError:
            api.create_repo(repo, private=private or None, exist_ok=True)
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(_mistake(error, repo) or _out_of_reach(repo, error)) from error


def hub_api(repo: str) -> HfApi:
    """The hub, once the name of the repository is one."""
    try:
        validate_repo_id(repo)
    except errors.HFValidationError as error:
        raise UserError(f"{repo!r} is no name of a hub repository, which is owner/name") from error
    if "/" not in repo:
        raise UserError(f"{repo!r} is no name of a hub repository, which is owner/name")
    return HfApi()


def _mistake(error: Exception, where: str) -> str | None:
    """What is the user's to change; none if the hub did not answer."""
    if isinstance(error, errors.GatedRepoError):
        return f"hub repository {where} is gated: ask its owner for access on its page"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"hub repository {where}: there is no such revision"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"the Hugging Face hub has no repository {where} (wrong name, or private and you are not logged in)"
    if isinstance(error, errors.HfHubHTTPError) and error.response is not None and error.response.status_code < 500:
        return f"the Hugging Face hub refuses {where}: {one_line(error)}"
    return None


def _out_of_reach(where: str, error: Exception) -> str:
    """The sentence for an error of the hub that has none of its own."""
    return f"hub repository {where}: the Hugging Face hub cannot be reached ({one_line(error)})"

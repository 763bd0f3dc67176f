"""A hub in memory: what mpt asks of huggingface_hub's API, with its signatures and its errors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, create_autospec

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import filter_repo_objects


@dataclass
class FakeHub:
    """Repositories as files by path.

    Attributes:
        cache: folder of downloads.
        repos: files of each repository, by path.
        commits: what was committed, in order.
        before_commit: done when a commit comes, once.
        down: raised at every question.
    """

    cache: Path
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    private: dict[str, Any] = field(default_factory=dict)
    before_commit: Callable[[], object] | None = None
    down: Exception | None = None

    def api(self) -> Any:
        """An object with the signatures of :class:`huggingface_hub.HfApi`: a call that it lacks is an error."""
        api = create_autospec(HfApi, instance=True)
        for name in ("repo_info", "create_repo", "create_commit", "snapshot_download", "hf_hub_download"):
            getattr(api, name).side_effect = getattr(self, "_" + name)
        return api

    def _sha(self, repo: str) -> str:
        return hashlib.sha1(repr(sorted(self.repos[repo].items())).encode()).hexdigest()

    def _files(self, repo: str) -> dict[str, bytes]:
        if self.down:
            raise self.down
        if repo not in self.repos:
            raise RepositoryNotFoundError("404", response=response(404))
        return self.repos[repo]

    def _repo_info(self, repo: str, **_: Any) -> Any:
        files = self._files(repo).items()
        return SimpleNamespace(sha=self._sha(repo), siblings=[_sibling(path, content) for path, content in files])

    def _create_repo(self, repo: str, private: bool | None = None, exist_ok: bool = False) -> None:
        self.repos.setdefault(repo, {".gitattributes": b"*.safetensors filter=lfs"})
        self.private[repo] = private

    def _create_commit(
        self, repo: str, operations: list[CommitOperationAdd], commit_message: str, parent_commit: str
    ) -> None:
        if self.before_commit is not None:
            do, self.before_commit = self.before_commit, None
            do()
        files = self._files(repo)
        if parent_commit != self._sha(repo):
            raise HfHubHTTPError("412: the branch has moved", response=response(412))
        for operation in operations:
            content = operation.path_or_fileobj
            files[operation.path_in_repo] = content if isinstance(content, bytes) else Path(str(content)).read_bytes()
        self.commits.append(commit_message)

    def _snapshot_download(
        self,
        repo: str,
        revision: str | None = None,
        allow_patterns: list[str] | None = None,
        local_files_only: bool = False,
    ) -> str:
        name = repo.replace("/", "--")
        if local_files_only:
            return str(next(self.cache.glob(f"{name}/*")))
        assert revision == self._sha(repo)
        folder = self.cache / name / revision
        files = self._files(repo)
        for path in filter_repo_objects(files, allow_patterns=allow_patterns):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(files[path])
        return str(folder)

    def _hf_hub_download(self, repo: str, filename: str) -> str:
        path = self.cache / repo.replace("/", "--") / self._sha(repo) / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._files(repo)[filename])
        return str(path)


def response(status: int) -> Any:
    """An answer with an error's status."""
    return Mock(status_code=status, headers={})


def _sibling(path: str, content: bytes) -> Any:
    lfs = SimpleNamespace(sha256=hashlib.sha256(content).hexdigest()) if path.endswith(".safetensors") else None
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    return SimpleNamespace(rfilename=path, lfs=lfs, blob_id=blob)

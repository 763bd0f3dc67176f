"""Rows of a data set from the Hugging Face hub, as the Parquet files that the hub makes of every data set.

They lie in the branch that a catalogue file names as the source's revision, as ``<config>/<split>/0000.parquet`` and
so on. What was fetched once lies in the hub's cache and is found there without a network.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mpt.data.catalogue.source import DataSource
from mpt.data.catalogue.template import Row
from mpt.util.errors import UserError
from mpt.util.names import nearest

Fetch = Callable[[DataSource, str], list[Path]]
"""From a source and a split to the split's Parquet files, in their order: :class:`Hub`, or a stand-in of it."""

PATIENCE = 10
"""Seconds that the hub has for its first answer."""


class Hub:
    """Fetches files from the hub, or finds in the cache what was fetched before; remembers what a data set has."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}
        self._unreachable: Exception | None = None

    def __call__(self, source: DataSource, split: str) -> list[Path]:
        """The Parquet files of a split.

        Raises:
            UserError: no network and nothing in the cache; no such data set, revision, configuration or split, with
                what there is; no access to it; files that the hub has not finished; a download that broke off.
        """
        names = self._listing(source)
        wanted = split_folder(source, split, names) if names is not None else f"{source.config}/{split}"
        folder = self._snapshot(source, f"{wanted}/")
        files = sorted((folder / wanted).glob("*.parquet"))
        if not files:
            there = [path.relative_to(folder).as_posix() for path in folder.glob("*/*/*.parquet")]
            raise self._no_network(f"its cache has {_folders(there)} of {source}, and not {wanted}")
        return files

    def _listing(self, source: DataSource) -> list[str] | None:
        """The names of a data set's files, or None where the hub cannot be asked.

        One quick question: what the hub's library asks when it fetches files has no time limit.
        """
        from huggingface_hub import HfApi, errors

        key = (source.hub, source.revision)
        if key in self._names or self._unreachable is not None:
            return self._names.get(key)
        try:
            info = HfApi().dataset_info(source.hub, revision=source.revision, timeout=PATIENCE)
        except errors.GatedRepoError as error:
            raise UserError(
                f"The Hugging Face hub gives {source.hub} only to those who accepted its terms: accept them on its "
                "page there, then log in with `hf auth login`."
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise UserError(
                f"The Hugging Face hub has no data set {source.hub}, or it is private and you are not logged in."
            ) from error
        except errors.HFValidationError as error:
            raise UserError(f"{source.hub!r} cannot be the name of a data set on the Hugging Face hub.") from error
        except errors.RevisionNotFoundError as error:
            raise UserError(f"The data set {source.hub} has no revision {source.revision}.") from error
        except errors.HfHubHTTPError as error:
            code = getattr(error.response, "status_code", 0)
            if code in (401, 403):
                raise UserError(f"The Hugging Face hub refuses access to {source.hub} ({code}).") from error
            self._unreachable = error
            return None
        except Exception as error:  # no name server, no route, no answer in time, HF_HUB_OFFLINE: many types
            self._unreachable = error
            return None
        self._names[key] = [sibling.rfilename for sibling in info.siblings or []]
        return self._names[key]

    def _snapshot(self, source: DataSource, wanted: str) -> Path:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
        from huggingface_hub.utils import disable_progress_bars

        disable_progress_bars()  # they and the command's own would write over each other
        try:
            folder = snapshot_download(
                source.hub,
                repo_type="dataset",
                revision=source.revision,
                allow_patterns=[glob.escape(wanted) + "*.parquet"],
                local_files_only=self._unreachable is not None,
                max_workers=4,
            )
        except LocalEntryNotFoundError as error:
            if getattr(error, "snapshot_path", None):
                raise self._no_network(f"its cache has only a part of {wanted[:-1]} of {source}") from error
            # Without the name of the data set: many tasks may lack theirs, and say so together.
            raise self._no_network("its cache has nothing of the task's data set") from error
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(
                f"The download of {wanted[:-1]} of {source} broke off ({reason}); the same command goes on with it."
            ) from error
        return Path(folder)

    def _no_network(self, lack: str) -> UserError:
        from huggingface_hub.errors import OfflineModeIsEnabled

        offline = isinstance(self._unreachable, OfflineModeIsEnabled)
        why = "is not asked, for HF_HUB_OFFLINE is set" if offline else "cannot be reached"
        return UserError(
            f"The Hugging Face hub {why}, and {lack}; build from raw files with --raw DIR, or fill the cache where "
            "there is a network and name its folder by HF_HOME."
        )


def split_folder(source: DataSource, split: str, names: Iterable[str]) -> str:
    """Where a split's files lie in a data set: ``<config>/<split>``.

    A configuration that is the only one is taken whatever its name, for the hub's conversion names it anew when a data
    set's loading script goes.

    Args:
        names: the files, ``<config>/<split>/<file>.parquet``.
    """
    there: dict[str, set[str]] = {}
    for name in names:
        parts = name.split("/")
        if len(parts) == 3 and parts[2].endswith(".parquet"):
            there.setdefault(parts[0], set()).add(parts[1])
    if not there:
        raise UserError(f"{source} has no Parquet files <config>/<split>/*.parquet.")
    config = source.config if len(there) > 1 else next(iter(there))
    if config not in there:
        raise UserError(f"{source} has no configuration {config}; {nearest(config, there)}")
    if split not in (splits := there[config]):
        if f"partial-{split}" in splits:
            raise UserError(
                f"The hub's Parquet conversion of {source} is incomplete: it holds only a part of the split {split} "
                f"(partial-{split}), so build from raw files with --raw DIR."
            )
        raise UserError(f"{source} has no split {split}; {nearest(split, splits)}")
    return f"{config}/{split}"


def parquet_rows(files: Iterable[Path], columns: Iterable[str]) -> Iterator[Row]:
    """The rows of Parquet files, one file after the other, a batch of rows in memory at a time.

    Args:
        files: in their order.
        columns: those that are needed; where a file lacks one, all that it has are read, so that a complaint can
            name them.

    Raises:
        UserError: a file that is no Parquet file, or not a whole one.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    for path in files:
        try:
            with ParquetFile(path) as file:
                needed = list(columns)
                known = set(file.schema_arrow.names)
                for batch in file.iter_batches(batch_size=1024, columns=needed if known.issuperset(needed) else None):
                    yield from batch.to_pylist()
        except (pyarrow.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{path} is no whole Parquet file ({reason}), so its download was cut off or it was damaged; delete "
                "it (and the file that it links to) to have it fetched again."
            ) from error


def _folders(names: Iterable[str]) -> str:
    return ", ".join(sorted({name.rpartition("/")[0] for name in names})) or "nothing"

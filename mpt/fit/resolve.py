"""What a run is: every option with its value, as its config or the options over it say, or by default."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from mpt.fit.renamed import renamed
from mpt.record.options import RunOptions, said_in
from mpt.util.errors import UserError

_TRAINER = "pytorch_lightning.Trainer"
_OWN = ("mpt.", "torch.optim.", "pytorch_lightning.")


class ResolvedRun(RunOptions):
    """A run's options, each with its real value: ``run["model.prompt_length"]``.

    A default is asked of the class that has it, when it is asked for: to import the learners takes seconds. A plan,
    which only looks, may ask too: of a class of another package, whose code is not run, no default is known.
    """

    def __getitem__(self, name: str) -> Any:
        """An option's value.

        Raises:
            UserError: nothing is said of it, and the class it is for does not have it or is of another package.
        """
        if name in self.given:
            return self.given[name]
        owner = name.rpartition(".")[0]
        while owner and owner != "trainer" and not isinstance(self.given.get(owner), str):
            owner = owner.rpartition(".")[0]
        path = _TRAINER if owner == "trainer" else self.given.get(owner, "")
        found, rest = defaults(path), name.removeprefix(f"{owner}.")
        if rest not in found:
            raise UserError(f"{name} is not given, and no default of {path or 'it'} is known; say it in the config")
        return found[rest]

    def get(self, name: str) -> Any:
        """An option's value; None if it is not known."""
        try:
            return self[name]
        except UserError:
            return None


def resolve_run(text: str, options: Mapping[str, Any] | None = None) -> ResolvedRun:
    """A run by the text of its config and the options over it, as ``mpt fit`` would understand them.

    Nothing is made, loaded or seeded, and no code of other packages run.
    """
    return ResolvedRun(said_in(text, options))


@cache
def defaults(path: str) -> Mapping[str, Any]:
    """The defaults of a class of this package, or of the Trainer, by dotted name; none of any other class.

    Args:
        path: the class's, or its bare name.
    """
    kind = _class(renamed(path))
    if kind is None:
        return {}
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_class_arguments(kind)
    return said_in("", parser.get_defaults().as_dict())


def _class(path: str) -> Any:
    """A class of this package by its path or, if it learns or gives data, by its bare name; or the Trainer."""
    module, _, name = path.rpartition(".")
    if path.startswith(_OWN):
        try:
            return getattr(import_module(module), name, None)
        except ImportError:
            return None
    if not name or module:
        return None
    from pytorch_lightning import LightningDataModule, LightningModule

    import mpt.fit.command  # noqa: F401  # which knows them all

    kinds: list[Any] = [LightningModule, LightningDataModule]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return next((kind for kind in kinds if kind.__name__ == name and kind.__module__.startswith(_OWN)), None)

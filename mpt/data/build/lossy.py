"""Records that CrossFit's line format cannot give back as they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from mpt.data.catalogue.recipe import Record
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.task import Task
from mpt.util.errors import UserError


class Lossy:
    """Watches the records that are written for texts that are read back otherwise.

    CrossFit writes such records too, so those of a catalogue's task are written, to meet its checksums, and counted.
    In a user's own task they are a mistake.
    """

    def __init__(self, task: Task) -> None:
        self._strict = task.name not in catalogue()
        self._found: Counter[str] = Counter()

    def watched(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records as they come."""
        for number, record in enumerate(records, start=1):
            if trouble := _trouble(record):
                if self._strict:
                    raise UserError(f"record {number} has {trouble}, which its line in the file cannot hold.")
                self._found[trouble] += 1
            yield record

    @property
    def note(self) -> str:
        """What was found, in words; empty if nothing."""
        if not self._found:
            return ""
        told = ", ".join(f"{count} with {trouble}" for trouble, count in self._found.items())
        return f"lines written as CrossFit does that are read back otherwise: {told}"


def _trouble(record: Record) -> str:
    if "\t" in record.input:
        return "a tab in the input"
    if "\n" in record.output:
        return "a line break in an output"
    if not record.output.split("\t")[0].strip():
        return "a blank output"
    return ""

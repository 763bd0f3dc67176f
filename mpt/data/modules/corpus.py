"""Data modules for language modelling: the made-up world's schooling, and text files of the user's.

Batches are text pairs, a pure function of seed and batch number, so that a resumed run sees what an
undisturbed one would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from mpt.data.modules.batch import TextBatch, collate
from mpt.data.modules.denoising import OBJECTIVES, DenoisingObjective, prefix_lm, span_corruption, words_of
from mpt.data.modules.streams import StreamSampler
from mpt.data.modules.text_data import TextData
from mpt.data.modules.unlabelled import check_objective
from mpt.data.synthetic.instructions import document, lesson
from mpt.data.synthetic.second_language import other_language, translation
from mpt.data.tasks.task import Example, Task
from mpt.util.errors import UserError
from mpt.util.reading import LARGEST_DATA, read_bytes, why_unread
from mpt.util.stable_random import StableRandom

Pair = tuple[str, str]


def _batch(pairs: Sequence[Pair], name: str) -> TextBatch:
    return collate((name, Example(source, (target,))) for source, target in pairs)


def _of_one_stream(num_workers: int) -> int:
    if num_workers > 1:
        raise UserError(f"--data.num_workers must be 0 or 1 here, not {num_workers}: the batches are one stream")
    return num_workers


class WorldData(TextData):
    """The embedded backbone's schooling: running text of the made-up world, and lessons with an instruction.

    Lessons start with fixed label words (a value's own name) and move on to random ones, which are never
    learned if they come first. Batches of a chunk hold examples of like length, so that little is padding.

    Args:
        seed: Seeds every batch.
        batch_size: Examples per batch, over all devices.
        eval_batch_size: Examples per batch in validation.
        running_text: Share of examples that are span corruption or prefix-LM (half each) of running text.
        words: Share of lessons about single words in the place of sentences, where a lesson can be.
        fields: Share of lessons where what is asked for stands behind the text and not in the instruction.
        second: Share of examples in the world's second language, instruction, text and answer alike.
        translated: Share of examples that are some words of one language, asked for in the other: all that says that
            the two are of one world.
        fixed_steps: Batches with fixed label words only.
        ramp_steps: Batches over which the share of random label words then rises to ``most_random``.
        first_random: Share of random label words at the start of that rise.
        most_random: Share of random label words in the end.
        chunk: Batches that are made and sorted by length together.
        dev_size: Examples in validation, all with random label words.
        num_workers: Processes that make batches beside the training process: 0 or 1.
    """

    def __init__(
        self,
        seed: int = 0,
        batch_size: int = 64,
        eval_batch_size: int = 100,
        running_text: float = 0.1,
        words: float = 0.3,
        fields: float = 0.0,
        second: float = 0.0,
        translated: float = 0.0,
        fixed_steps: int = 500,
        ramp_steps: int = 1000,
        first_random: float = 0.3,
        most_random: float = 0.9,
        chunk: int = 8,
        dev_size: int = 600,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, _of_one_stream(num_workers), seed)
        if chunk < 1 or ramp_steps < 1 or fixed_steps < 0:
            raise UserError("--data.chunk and --data.ramp_steps must be 1 or more, --data.fixed_steps 0 or more.")
        self.running_text, self.words, self.fields = running_text, words, fields
        self.second, self.translated = second, translated
        self.fixed_steps, self.ramp_steps = fixed_steps, ramp_steps
        self.first_random, self.most_random = first_random, most_random
        self.chunk, self.dev_size = chunk, dev_size
        self.task = Task("world", "other", "ACC")

    def random_labels(self, number: int) -> float:
        """The share of random label words in the batch of that number."""
        if number < self.fixed_steps:
            return 0.0
        rise = (number - self.fixed_steps) / self.ramp_steps
        return min(self.most_random, self.first_random + rise * (self.most_random - self.first_random))

    def batches(self, chunk: int) -> list[list[Pair]]:
        """The batches of a chunk: examples of like length together, the batches in random order."""
        rng = StableRandom("world", self.seed, chunk)
        share = self.random_labels(chunk * self.chunk)
        pairs = [self._pair(rng, share) for _ in range(self.chunk * self.batch_size)]
        pairs.sort(key=lambda pair: (len(pair[1].split()) > 3, len(pair[0].split())))
        n = self.batch_size
        return rng.shuffled([pairs[i * n : (i + 1) * n] for i in range(self.chunk)])

    def train_dataloader(self) -> DataLoader[TextBatch]:
        stream = _ChunkStream(self, **self._place())
        return DataLoader(stream, batch_size=None, num_workers=self.num_workers)

    def val_dataloader(self) -> DataLoader[TextBatch]:
        rng = StableRandom("world", "dev")
        pairs = [lesson(rng, 1.0, 0.0) for _ in range(self.dev_size)]
        pairs.sort(key=lambda pair: (len(pair[1].split()) > 3, len(pair[0].split())))
        return self._sequence([(source.split()[0], Example(source, (target,))) for source, target in pairs])

    def test_dataloader(self) -> DataLoader[TextBatch]:
        return self.val_dataloader()

    def _pair(self, rng: StableRandom, random_labels: float) -> Pair:
        if self.translated and rng.chance(self.translated):
            return translation(rng)
        second = self.second > 0 and rng.chance(self.second)
        if rng.chance(self.running_text):
            text = document(rng)
            words = (other_language(text) if second else text).split()
            return span_corruption(words, rng) if rng.chance(0.5) else prefix_lm(words, rng)
        source, target = lesson(rng, random_labels, self.words, self.fields)
        return (other_language(source), other_language(target)) if second else (source, target)


class _ChunkStream(IterableDataset[TextBatch]):
    """The batches of a :class:`WorldData` without end, from batch ``start`` on."""

    def __init__(self, data: WorldData, start: int, rank: int, world_size: int) -> None:
        self.data, self.start, self.rank, self.world_size = data, start, rank, world_size

    def __iter__(self) -> Iterator[TextBatch]:
        chunk, skip = divmod(self.start, self.data.chunk)
        while True:
            for pairs in self.data.batches(chunk)[skip:]:
                yield _batch(pairs[self.rank :: self.world_size], "world")
            chunk, skip = chunk + 1, 0


class TextFiles(TextData):
    """Plain text files as language-modelling pairs: prefix-LM adapts a T5 as Lester et al. (2021) do.

    Files are read as UTF-8 and cut into windows of words; white space counts as one space. Every window of
    every epoch is split or corrupted anew.

    Args:
        train: Text files to learn from.
        dev: Text files to validate on; none unless given.
        objective: ``prefix-lm`` (input: the first part of a window, target: the rest) or ``span-corruption``.
        window: Words of an example.
        seed: Seeds the order of the windows and what is done to each.
        batch_size: Examples per batch, over all devices.
        eval_batch_size: Examples per batch in validation.
        num_workers: Processes that make batches beside the training process: 0 or 1.
    """

    def __init__(
        self,
        train: list[str],
        dev: list[str] | None = None,
        objective: DenoisingObjective = "prefix-lm",
        window: int = 200,
        seed: int = 0,
        batch_size: int = 32,
        eval_batch_size: int = 32,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size, eval_batch_size, _of_one_stream(num_workers), seed)
        check_objective(objective, window)
        self.train, self.dev, self.objective, self.window = train, dev or [], objective, window
        self._windows: list[list[str]] = []

    def setup(self, stage: str | None = None) -> None:
        if not self._windows:
            self._windows = read_windows(self.train, self.window)

    def train_dataloader(self) -> DataLoader[TextBatch]:
        self.setup()
        sampler = StreamSampler(len(self._windows), self.batch_size, self.seed, **self._place())
        return DataLoader(_WindowStream(self, sampler), batch_size=None, num_workers=self.num_workers)

    def val_dataloader(self) -> Any:
        if not self.dev:
            return []
        pairs = [
            self.pair(words, StableRandom("dev", i)) for i, words in enumerate(read_windows(self.dev, self.window))
        ]
        return self._sequence([("text", Example(source, (target,))) for source, target in pairs])

    def windows(self, numbers: Sequence[int]) -> list[list[str]]:
        return [self._windows[number] for number in numbers]

    def pair(self, words: list[str], rng: StableRandom) -> Pair:
        """The (input, target) of a window."""
        return OBJECTIVES[self.objective](words, rng)


class _WindowStream(IterableDataset[TextBatch]):
    def __init__(self, data: TextFiles, sampler: StreamSampler) -> None:
        self.data, self.sampler = data, sampler

    def __iter__(self) -> Iterator[TextBatch]:
        for number, rows in enumerate(self.sampler, start=self.sampler.start):
            rng = StableRandom("text", self.data.seed, number, self.sampler.rank)
            yield _batch([self.data.pair(words, rng) for words in self.data.windows(rows)], "text")


def read_windows(files: Sequence[str], size: int) -> list[list[str]]:
    """The files' words, cut into lists of ``size``; of a file's end, a rest of one word is dropped.

    Raises:
        UserError: no file given, none readable as UTF-8 text, or no words in them.
    """
    if not files:
        raise UserError("--data.train must name at least one text file.")
    windows: list[list[str]] = []
    for file in files:
        try:
            words = words_of(read_bytes(Path(file), LARGEST_DATA).decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise UserError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
        except (OSError, ValueError) as error:
            raise UserError(f"Cannot read {file}: {why_unread(error)}.") from error
        cut = [words[i : i + size] for i in range(0, len(words), size)]
        windows += [window for window in cut if len(window) > 1]
    if not windows:
        raise UserError(f"There is no text in {', '.join(map(str, files))}.")
    return windows

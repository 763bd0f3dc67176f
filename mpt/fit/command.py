"""``mpt fit | validate | test | predict``: LightningCLI, told where a run's folder is."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from contextlib import ExitStack
from inspect import signature
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader, set_parsing_settings
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.cli import LightningCLI, SaveConfigCallback
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.plugins import Precision
from pytorch_lightning.utilities import rank_zero_info
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from pytorch_lightning.utilities.model_helpers import is_overridden

# Imported so that their short names work on the command line (`--model.init SavedPrompt`).
import mpt.data.modules.combined
import mpt.data.modules.episodes
import mpt.data.modules.few_shot
import mpt.data.modules.mixture
import mpt.prompt.initialisers
import mpt.prompt.mixture
import mpt.prompt.residual
import mpt.prompt.superposition  # noqa: F401
from mpt.backbone.checks import refuse_unsafe_dtype
from mpt.backbone.device import has_bfloat16
from mpt.backbone.memory import refuse_too_large
from mpt.callbacks import KeepBest, StepLines
from mpt.callbacks.tracker import Tracker
from mpt.callbacks.writing import writes
from mpt.data.modules.text_data import TextData, check_stream
from mpt.fit.classes import class_names, places_of
from mpt.fit.configs import find_config
from mpt.fit.mistakes import RunParser, Unparsed, sentence
from mpt.fit.numbers import refuse_numbers
from mpt.fit.own_classes import find_modules_of
from mpt.fit.renamed import renamed
from mpt.fit.strategies import refuse_splitting
from mpt.fit.texts import texts
from mpt.learn import Learner
from mpt.learn.learner import known_of
from mpt.learn.prompt_learner import PromptLearner
from mpt.present.terminal import console
from mpt.record.folder import CONFIG, OWN, RunFolder
from mpt.util.checkpoints import find_checkpoint, read_checkpoint, refuse_unsafe, unusable
from mpt.util.errors import UserError, mistake_behind, one_line, system_mistake
from mpt.util.files import held, refuse_links, write_text, writing_to
from mpt.util.names import hint, nearest, refuse_unwritable
from mpt.util.quiet import quiet_libraries
from mpt.util.reading import read_text
from mpt.util.schema import shown
from mpt.util.signals import tell_devices
from mpt.util.yaml_file import called, parse_yaml

# Lightning lets options and configs be read from anywhere that fsspec reaches.
set_parsing_settings(config_read_mode_fsspec_enabled=False)
_load_yaml = get_loader("yaml")


def _load_all_but(verbatim: Collection[str]) -> None:
    """Have jsonargparse read as YAML what a file or word says, and leave some words as they are."""

    def read(text: str) -> Any:
        if text in verbatim:
            return text
        content = renamed(_load_yaml(text))
        find_modules_of(content)
        return content

    set_loader("yaml", read, (yaml.YAMLError,))


_load_all_but(())

_ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")


class SaveConfig(SaveConfigCallback):
    """Writes the resolved configuration into the run's folder, and once to W&B."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Lightning's own way writes into the loggers' shared folder and makes the second run there fail.
        super().__init__(*args, **{**kwargs, "save_to_log_dir": False})

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            folder, config = Path(trainer.default_root_dir), self.config.clone()
            # That it went on from its own checkpoint is how the run went, not what it is.
            if config.get("ckpt_path") == str(RunFolder(folder).checkpoint.absolute()):
                config.ckpt_path = None
            write_text(folder / self.config_filename, self.parser.dump(config, skip_none=False))
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                # Not where the files lie that it was made of.
                known = {name: part for name, part in self.config.as_dict().items() if name != "config"}
                logger.log_hyperparams({"config": known})


class RunCLI(LightningCLI):
    """LightningCLI whose runs each have a folder, ``trainer.default_root_dir`` or ``runs/<config>/<task>-<seed>``."""

    config_name = "run"
    checkpoint: dict[str, Any] | None = None
    holds = ExitStack()
    """What ends with the command."""

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        trainer = config.trainer
        if trainer.default_root_dir is None:
            trainer.default_root_dir = str(Path("runs") / self.config_name / _data_name(config.data))
        if not trainer.default_root_dir:
            raise UserError("trainer.default_root_dir is empty; name a folder, or leave it out")
        folder = Path(trainer.default_root_dir)
        refuse_links(folder, OWN, f"run {folder}")
        last = RunFolder(folder).checkpoint
        if config.get("ckpt_path") == "last" and self.subcommand == "fit" and not last.is_file():
            # A scheduler that stops and requeues a job gives it the same command each time.
            print(f"there is no {last} to go on from, so this run begins at step 0")
            config.ckpt_path = None
        if config.get("ckpt_path") is not None:
            config.ckpt_path = str(find_checkpoint(str(config.ckpt_path), folder))
            self.checkpoint = read_checkpoint(Path(config.ckpt_path))
        for part in _listed(trainer.logger):
            if isinstance(part, bool):
                continue
            if "save_dir" in part.init_args and part.init_args.get("save_dir") is None:
                part.init_args.save_dir = str(folder)
            if part.init_args.get("name", "") is None:
                part.init_args.name = "/".join(folder.parts[-2:])

    def _parse_ckpt_path(self) -> None:
        """Refuse unsafe checkpoints, and numbers that cannot be.

        Lightning would take hyper-parameters from a checkpoint and override the command line; and it would replace a
        seed that is none by one of its own.
        """
        config = self.config[self.config.subcommand]
        refuse_unsafe(config)
        refuse_numbers(config.as_dict())

    def _run_subcommand(self, subcommand: str) -> None:
        """Tell what Lightning stumbles over in a checkpoint as the checkpoint's fault."""
        try:
            super()._run_subcommand(subcommand)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            restoring = any(Path(frame.filename).stem == "checkpoint_connector" for frame in frames)
            if not restoring or mistake_behind(error) or system_mistake(error):
                raise
            raise unusable(self.config[subcommand].ckpt_path, one_line(error)) from error

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Any]) -> Any:
        refuse_splitting(config.get("strategy"))
        try:
            return _with_known_arithmetic(super()._instantiate_trainer(config, callbacks))
        except (
            TypeError,
            ValueError,
            ImportError,
            MisconfigurationException,
        ) as error:  # options that do not go together
            near = hint(str(config.get("accelerator")), _ACCELERATORS) if "accelerator name" in str(error) else ""
            told = " ".join(str(error).split()).rstrip("." if near else "")
            what = f"trainer.accelerator {config.get('accelerator')}" if isinstance(error, ImportError) else "trainer"
            raise mistake_behind(error) or UserError(f"{what}: {told}{near}") from error

    def instantiate_classes(self) -> None:
        super().instantiate_classes()
        if isinstance(self.model, Learner):
            self.model.seed = int(self.config[self.subcommand].seed_everything)

    def after_instantiate_classes(self) -> None:
        tell_devices(self.trainer)

    def before_fit(self) -> None:
        """Load data and model, so that what is wrong with them is told before an earlier run is touched."""
        trainer: Any = self.trainer
        for part in trainer.callbacks:
            if isinstance(part, KeepBest):
                part.check_steps(trainer)
        self.datamodule.setup("fit")
        if isinstance(self.datamodule, TextData):
            # Looked at before the processes of other devices start: whether they can share a batch.
            check_stream(self.trainer)
            self.datamodule.trainer = self.trainer
            self.datamodule.train_dataloader()
        if isinstance(self.model, Learner):
            self._check_match(self.model)
            self.model.check_trainer(self.trainer)
            self.model.prepare(*known_of(self.datamodule))
            self.model.check_targets(self.datamodule)
            if isinstance(self.model, PromptLearner):
                rows = getattr(self.datamodule, "batch_size", 1)
                device = self.trainer.strategy.root_device
                refuse_too_large(self.model.backbone, self.model.prompt_length, rows, device)
            self.model.make_scheduler(self.model.make_optimizer())
            # Asked, not what Lightning made of it: on a CPU it turns 16-mixed into bf16-mixed by itself.
            asked = self.config[self.subcommand].trainer.precision
            refuse_unsafe_dtype(self.model.backbone.config.model_type, str(asked))
            if self.checkpoint is not None:
                path = self.config[self.subcommand].ckpt_path
                self.model.check_checkpoint(path, self.checkpoint, self.datamodule, training=True)
                self.checkpoint = None  # a fine-tuned model's is as large as the model
        if writes(self.trainer):
            self._take_folder(Path(self.trainer.default_root_dir))

        bar = self.trainer.progress_bar_callback
        if isinstance(bar, RichProgressBar):
            callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
            if not console().is_terminal and not any(isinstance(part, StepLines) for part in callbacks):
                callbacks.append(StepLines())
            # Data streams have no epochs; Lightning would count them as "Epoch 0/-2".
            bar._get_train_description = lambda current_epoch: "Training  "  # type: ignore[method-assign]

    def _take_folder(self, folder: Path) -> None:
        """Be the only fit in the run's folder, and find it empty but for a run that goes on."""
        busy = f"another mpt fit is at work in {folder}; wait for it, or give another --trainer.default_root_dir"
        with writing_to(folder, "--trainer.default_root_dir"):
            self.holds.enter_context(held(folder, busy))
            run = RunFolder(folder)
            if not self.config[self.subcommand].get("ckpt_path") and (earlier := run.set_aside()) is not None:
                self.holds.enter_context(held(folder, busy))
                # Not where it was stopped: what it says then is how to go on with it.
                self.holds.push(
                    lambda kind, *_: run.put_back(earlier) if kind and issubclass(kind, Exception) else None
                )

    def _check_match(self, model: Learner) -> None:
        given = getattr(self.datamodule, "gives_episodes", False)
        if given != model.learns_from_episodes:
            wanted = "episodes: --data EpisodeData" if not given else "examples: --data FewShotData or MixtureData"
            name = type(self.datamodule).__name__
            raise UserError(f"{type(model).__name__} cannot learn from {name}; it takes {wanted}")

    def after_fit(self) -> None:
        trainer: Any = self.trainer
        for part in trainer.callbacks:
            if isinstance(part, KeepBest):
                part.finish(trainer, self.model)
        kept = [part.path(trainer) for part in trainer.callbacks if isinstance(part, KeepBest)]
        for tracker in trainer.loggers:
            if isinstance(tracker, Tracker):
                for folder in kept:
                    tracker.log_prompt(folder)
        if writes(trainer):
            print(f"run folder: {self.trainer.default_root_dir}")

    def before_validate(self) -> None:
        """Say so if there is nothing to validate on; Lightning would end without a word."""
        self.datamodule.setup("validate")
        if isinstance(self.datamodule, TextData) and self.datamodule.val_dataloader() == []:
            raise UserError("there is nothing to validate on; name tasks that are no source tasks by --data.validation")
        self._look_first()

    def before_test(self) -> None:
        """Source tasks have no test: say where their prompt goes on."""
        known = is_overridden(f"{self.subcommand}_dataloader", self.datamodule)
        if isinstance(self.datamodule, TextData) and not known:
            raise UserError(
                f"there is nothing to {self.subcommand}: {type(self.datamodule).__name__} has source tasks alone; "
                "go on with --config prompt_tuning, --data.task and --model.init SavedPrompt "
                f"--model.init.path {Path(self.trainer.default_root_dir) / 'prompt'}"
            )
        self._look_first()

    def _look_first(self) -> None:
        """Load data and model, and see that there is something learned, before loggers open a run to write to."""
        self.datamodule.setup(self.subcommand)
        if isinstance(self.model, Learner):
            self.model.prepare(*known_of(self.datamodule))
            trainer: Any = self.trainer
            for part in trainer.callbacks:
                if isinstance(part, KeepBest) and not self.config[self.subcommand].get("ckpt_path"):
                    part.check_there(trainer, self.model)

    before_predict = before_test


def run_lightning(arguments: list[str], base: type[RunCLI] = RunCLI) -> RunCLI:
    """Run ``fit``, ``validate``, ``test`` or ``predict`` as typed on the command line.

    Raises:
        UserError: if what the user gave cannot work.
    """
    quiet_libraries()
    refuse_unwritable(arguments)
    arguments, name = _shipped_configs(arguments)
    # Lightning would build the parsers of all its subcommands, which takes longer than everything else before a run.
    word = {arguments[0]: LightningCLI.subcommands()[arguments[0]]}
    try:
        with ExitStack() as holds:
            holds.callback(_load_all_but, ())
            _load_all_but(set(texts(arguments[1:])))
            own = {"config_name": name, "subcommands": staticmethod(lambda: word), "holds": holds}
            return type("RunCLI", (base,), own)(
                LightningModule,
                LightningDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=SaveConfig,
                seed_everything_default=13,
                auto_configure_optimizers=False,
                parser_class=RunParser,
                args=arguments,
            )
    except Unparsed as error:
        raise UserError(sentence(str(error), arguments[1:], _options())) from None
    except MisconfigurationException as error:
        raise UserError(" ".join(str(error).split())) from error
    except FileNotFoundError as error:
        raise UserError(f"{error.filename or error}: no such file") from error
    except RuntimeError as error:  # what Lightning and its callbacks say of options that do not go together
        if not str(error).startswith(("Early stopping conditioned", "Found more than one stateful callback")):
            raise
        raise UserError(f"trainer.callbacks: {' '.join(str(error).split())}") from error


def show_options(word: str, of: str) -> None:
    """Print every option of a command, or those of one class; ends the process as any help does.

    Raises:
        UserError: there is no such class; names the nearest.
    """
    known = {name: group for group in ("model", "data") for name in class_names(group)}
    if of == "all":
        run_lightning([word, "--help"])
    elif of not in known:
        place = next(places_of(of), None)
        if place is None:
            raise UserError(
                f"--help {of}: there is no learner, part of one or data module of that name; {nearest(of, known)}"
            )
        group, owner, option = place
        print(f"{of} is --{group}.{option} of {owner} and others; what follows is typed as --{group}.{option}.NAME\n")
        run_lightning([word, f"--{group}={owner}", f"--{group}.{option}.help={of}"])
    else:
        run_lightning([word, f"--{known[of]}.help={of}"])


def _options() -> list[str]:
    """The options that are the same whatever classes are named."""
    trainer = [f"--trainer.{name}" for name in signature(Trainer.__init__).parameters if name != "self"]
    return [*trainer, "--config", "--seed_everything", "--model", "--data", "--ckpt_path", "--print_config"]


def _shipped_configs(arguments: list[str]) -> tuple[list[str], str]:
    """Resolve ``--config NAME`` for shipped files; the last one's stem names the run."""
    resolved, name = [_with_today(word) for word in arguments], "run"
    for i, word in enumerate(arguments):
        if word in ("--config", "-c") and i + 1 < len(arguments):
            path = resolved[i + 1] = _config(arguments[i + 1])
        elif word.startswith("--config="):
            path = _config(word.removeprefix("--config="))
            resolved[i] = f"--config={path}"
        else:
            continue
        if Path(path).name != CONFIG:
            name = Path(path).stem
    return resolved, name


def _config(name: str) -> str:
    """The file of a config, whose YAML is looked at more strictly than by LightningCLI."""
    path = find_config(name)
    content = parse_yaml(read_text(path, "config"), f"The config {path}", merges=True)
    if not isinstance(content, dict):
        raise UserError(f"the config {path} must be a mapping of options (model, data, trainer), not {shown(content)}")
    return str(path)


def _with_today(word: str) -> str:
    """A word whose class, if it names one, has today's path."""
    option, equals, value = word.rpartition("=")
    return f"{option}{equals}{renamed(value)}"


def _data_name(data: Any) -> str:
    args = data.init_args if data is not None and "init_args" in data else {}
    if args.get("task"):
        return f"{called(str(args.get('task')))}-{args.get('seed')}"
    tasks = args.get("tasks") or [*(args.get("languages") or ())]
    if 0 < len(tasks) <= 3:  # of more, a name would be too long
        return "+".join(Path(task).stem for task in tasks)
    return str(args.get("partition") or "run")


def _with_known_arithmetic(trainer: Trainer) -> Trainer:
    """The trainer, which computes in float32 where its CPU has no bfloat16: see :mod:`mpt.backbone.device`."""
    if trainer.precision == "bf16-mixed" and not has_bfloat16(trainer.strategy.root_device):
        trainer.strategy.precision_plugin = Precision()
        rank_zero_info("trainer.precision is 32-true in place of bf16-mixed: this CPU knows no bfloat16")
    return trainer


def _listed(value: Any) -> list[Any]:
    if value is None or isinstance(value, bool):
        return []
    return [part for part in (value if isinstance(value, list) else [value]) if not isinstance(part, bool)]

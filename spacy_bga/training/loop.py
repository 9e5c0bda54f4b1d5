"""spaCy's training loop, taken up where it was killed.

spaCy's loop counts steps, draws batches, steps schedules and remembers scores inside of one generator, which can only
be run from the beginning. So it is: up to the checkpoint it gets empty batches, from which nothing is learnt, and the
scores of then; at the checkpoint, weights, moments and random number generators become what they were.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training.loop import (
    create_before_to_disk_callback,
    create_evaluation_callback,
    create_train_batches,
    train_while_improving,
    update_meta,
)
from spacy.util import registry, resolve_dot_names
from thinc.api import fix_random_seed
from wasabi import Printer

from spacy_bga.errors import BGAError, Errors, StorageError
from spacy_bga.training.batch_stream import BatchStream
from spacy_bga.training.checkpoint import Checkpoint
from spacy_bga.training.history import History
from spacy_bga.training.output_folder import OutputFolder

Info = dict[str, Any]
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


class Training:
    """The training of a pipeline by its config.

    nlp (Language): The initialized pipeline. output (OutputFolder): Where everything is saved; opened.
    checkpoint (Optional[Checkpoint]): What to resume; None: begin.
    """

    def __init__(self, nlp: Language, output: OutputFolder, checkpoint: Checkpoint | None = None):
        config = nlp.config.interpolate()
        if config["training"]["seed"] is not None:
            fix_random_seed(config["training"]["seed"])
        self.nlp = nlp
        self.output = output
        self.checkpoint = checkpoint
        self.settings = registry.resolve(config["training"], schema=ConfigSchemaTraining)
        self.optimizer = self.settings["optimizer"]
        self.frozen = self.settings["frozen_components"]
        corpora = [self.settings["train_corpus"], self.settings["dev_corpus"]]
        train_corpus, self._dev_corpus = resolve_dot_names(config, corpora)
        batches = create_train_batches(nlp, train_corpus, self.settings["batcher"], self.settings["max_epochs"])
        self.batches = BatchStream(batches, checkpoint.batches if checkpoint else None)
        self.history = History(checkpoint.history if checkpoint else ())
        self._is_live = checkpoint is None
        self._before_to_disk = create_before_to_disk_callback(self.settings["before_to_disk"])

    def run(self, stdout: IO, stderr: IO) -> Path:
        """Train to the end.

        stdout, stderr (IO): Where loggers write.
        RETURNS (Path): The last pipeline's folder.
        RAISES (BGAError): The checkpoint can't be resumed, or something can't be written. What was saved stays then.
        """
        self._introduce(stdout)
        with self.nlp.select_pipes(disable=self.frozen):
            log_step, finalize = self.settings["logger"](self.nlp, stdout, stderr)
        try:
            with self._explained():
                try:
                    for _, info, is_best in self._steps():
                        if is_best is not None:
                            self._pass_evaluation(info, is_best)
                        log_step(info if is_best is not None else None)
                finally:
                    finalize()
        except StorageError:
            raise
        except BaseException as error:
            if self._is_live and self.history.rows:
                stdout.write(Printer(no_print=True).warn(f"Saving the last pipeline after {error!r}") + "\n")
                with suppress(StorageError):  # the first error is the one to tell of
                    self._save_last()
            raise
        if not self._is_live:  # what there is then has learnt nothing, and must not replace what has
            raise BGAError(Errors.B678.format(path=self.output.checkpoint))
        self._save_last()
        return self.output.last

    def _introduce(self, stdout: IO) -> None:
        lines = [f"Pipeline: {self.nlp.pipe_names}"]
        if self.frozen:
            lines.append(f"Frozen components: {self.frozen}")
        if self.settings["annotating_components"]:
            lines.append(f"Set annotations on update for: {self.settings['annotating_components']}")
        lines.append(f"Initial learn rate: {self.optimizer.learn_rate}")
        if self.checkpoint is not None:
            lines.append(f"Resuming after step {self.checkpoint.history[-1]['step']}")
        stdout.writelines(Printer(no_print=True).info(line) + "\n" for line in lines)

    def _steps(self) -> Iterator[tuple[Any, Info, bool | None]]:
        chosen = ("dropout", "accumulate_gradient", "patience", "max_steps", "eval_frequency", "before_update")
        evaluate = create_evaluation_callback(self.nlp, self._dev_corpus, self.settings["score_weights"])
        return train_while_improving(
            self.nlp,
            self.optimizer,
            self.batches,
            self.history.recalling(evaluate),
            exclude=self.frozen,
            annotating_components=self.settings["annotating_components"],
            **{name: self.settings[name] for name in chosen},
        )

    def _pass_evaluation(self, info: Info, is_best: bool) -> None:
        is_replayed = self.history.is_replaying
        self.history.enter(info)
        with self.nlp.select_pipes(disable=self.frozen):
            update_meta(self.settings, self.nlp, info)
        if not is_replayed:
            self._save(is_best)
        elif self.checkpoint is not None and not self.history.is_replaying:
            self.checkpoint.restore(self.nlp, self.optimizer, self.frozen)
            self.checkpoint = None  # it is as large as everything that it has restored
            self._is_live = True
        info["output_path"] = str(self.output.last)

    def _save(self, is_best: bool) -> None:
        """The checkpoint comes last: who resumes from an older one makes the same pipelines again, but who resumed from
        a newer one would never make its best again."""
        self._save_last()
        if is_best:
            self.output.save_best()
        Checkpoint.take(self.nlp, self.optimizer, self.frozen, self.history, self.batches).write(self.output.checkpoint)

    def _save_last(self) -> None:
        def write(folder: Path) -> None:
            with self.nlp.use_params(self.optimizer.averages):
                self._before_to_disk(self.nlp).to_disk(folder)

        self.output.save_last(write)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Let a full disk that something else met with, such as a logger, be told of in the same way."""
        try:
            yield
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            raise StorageError(Errors.B670.format(path=error.filename or "a file", reason=error.strerror)) from error

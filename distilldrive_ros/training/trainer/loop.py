"""The training loop: batches to losses to steps, with checkpoints, numbers, and a stop where losses are no numbers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor, nn
from tqdm import tqdm

from distilldrive_ros.scene.errors import DistillDriveError
from distilldrive_ros.training.batch import TrainingBatch
from distilldrive_ros.training.diffusion.batch import DiffusionBatch
from distilldrive_ros.training.pipeline.loaded import LoadedBatch
from distilldrive_ros.training.stages.stage import TrainedPart, total
from distilldrive_ros.training.trainer.checkpoints import Checkpoint, CheckpointFolder, write_weights
from distilldrive_ros.training.trainer.config import TrainConfig
from distilldrive_ros.training.trainer.held_out import BEST_WEIGHTS_FILE, HeldOut
from distilldrive_ros.training.trainer.logs import TrainingLog
from distilldrive_ros.training.trainer.optimizers import build_optimizer, learning_rate, set_learning_rate
from distilldrive_ros.training.trainer.precision import lower_image_precision
from distilldrive_ros.training.trainer.processes import Processes
from distilldrive_ros.training.whole_files import write_whole_file

AnyBatch = TrainingBatch | DiffusionBatch

_LOG = logging.getLogger(__name__)
# Distinct for every process and iteration: what dropout and noise draw from, so that a resumed training draws the same.
_ITERATION_STRIDE, _RANK_STRIDE = 1_000_003, 7_919


class DivergedError(DistillDriveError):
    """A loss or gradient became NaN or infinite; the batch is kept in a file."""


@dataclass(frozen=True)
class TrainingResult:
    """`loss`: the last mean total; `skipped`: frames that could not be read, name and reason, each once."""

    iterations: int
    loss: float
    skipped: tuple[str, ...]


class Trainer:
    """One stage on one stream of batches."""

    def __init__(self, stage: TrainedPart, config: TrainConfig, folder: Path, processes: Processes) -> None:
        """`folder` gets checkpoints, logs and, after a stop, the batch to be studied."""
        self._config = config
        self._folder = folder
        self._processes = processes
        self._stage = stage.to(processes.device)
        self._set_modes()
        if config.run.precision == "bf16":
            lower_image_precision(self._stage, processes.device.type)
        self._optimizer = build_optimizer(self._stage, config.optimizer)
        self._checkpoints = CheckpointFolder(folder, config, config.run.batch_size * processes.world_size)
        self._skipped: dict[str, None] = {}

    @property
    def checkpoints(self) -> CheckpointFolder:
        """Those of the folder."""
        return self._checkpoints

    def resume(self) -> int:
        """Take up the newest checkpoint; the iterations it had done, 0 where there is none.

        Raises:
            CheckpointError: it is of another configuration.
        """
        found = self._checkpoints.latest()
        if found is None:
            return 0
        self._stage.load_state_dict(found.stage)
        self._optimizer.load_state_dict(found.optimizer)
        self._stage.forget()
        return found.iteration

    def run(
        self, batches: Iterator[LoadedBatch[AnyBatch]], start: int, held_out: HeldOut | None = None
    ) -> TrainingResult:
        """Train from iteration `start` to the end; `held_out`: what to look at in between.

        Raises:
            DivergedError: a loss or a gradient is NaN or infinite.
            DatasetError: a whole sequence cannot be read.
            StorageError: a checkpoint cannot be written; the older ones are whole.
        """
        run, processes = self._config.run, self._processes
        model = processes.wrap(self._stage)
        log = TrainingLog(self._folder, start) if processes.is_main else None
        window = _Window()
        loss = float("nan")
        if held_out is not None and log is not None:
            held_out.take_up(self._folder)
        quiet = not (processes.is_main and sys.stderr.isatty())
        try:
            with tqdm(total=run.iterations, initial=start, unit="it", disable=quiet, leave=False) as bar:
                for iteration in range(start, run.iterations):
                    loaded = self._next(batches)
                    window.loaded()
                    terms = self._step(model, loaded.batch.to(processes.device), iteration)
                    window.stepped(terms)
                    bar.update()
                    done = iteration + 1
                    outlook = held_out is not None and self._due(done, run.held_out_interval)
                    if outlook or self._due(done, run.log_interval):
                        means = window.means(processes)
                        if held_out is not None and outlook:
                            means.update(self._look(held_out))
                        loss = means["loss/total"]
                        bar.set_postfix(loss=f"{loss:.3f}", skipped=len(self._skipped))
                        if log is not None:
                            rate = self._optimizer.param_groups[0]["lr"]
                            log.add(done, {**means, "rate": rate, "skipped": len(self._skipped)})
                        window = _Window()
                    if self._due(done, run.checkpoint_interval):
                        self._save(done)
        finally:
            if log is not None:
                log.close()
        return TrainingResult(run.iterations, loss, tuple(self._skipped))

    def _due(self, done: int, interval: int) -> bool:
        return done % interval == 0 or done == self._config.run.iterations

    def _look(self, held_out: HeldOut) -> dict[str, float]:
        """Losses on the frames held out; the best weights so far are kept."""
        losses = held_out.losses(self._stage, self._all(iter(held_out.batches)))
        self._set_modes()
        if held_out.is_best(losses) and self._processes.is_main:
            write_weights(self._folder / BEST_WEIGHTS_FILE, self._stage.weights())
        return losses

    def _set_modes(self) -> None:
        """Training mode, but for what the configuration holds still."""
        self._stage.train()
        for module in self._stage.modules():
            if self._config.run.frozen_norm and isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
            if not self._config.run.dropout:
                if isinstance(module, nn.Dropout):
                    module.p = 0.0
                elif isinstance(getattr(module, "dropout", None), float):
                    setattr(module, "dropout", 0.0)  # noqa: B010 - attention modules, ours and torch's

    def _all(self, batches: Iterator[LoadedBatch[AnyBatch]]) -> Iterator[LoadedBatch[AnyBatch]]:
        """Those of a set that has an end."""
        while True:
            try:
                yield self._next(batches)
            except StopIteration:
                return

    def _next(self, batches: Iterator[LoadedBatch[AnyBatch]]) -> LoadedBatch[AnyBatch]:
        try:
            loaded = next(batches)
        except DistillDriveError as error:
            # A worker of the data loader puts its traceback before the message.
            name = type(error).__name__
            raise type(error)(str(error).strip().splitlines()[-1].rpartition(f"{name}: ")[2]) from error
        for note in loaded.skipped:
            if note not in self._skipped:
                self._skipped[note] = None
                _LOG.warning("frame left out: %s", note)
        return loaded

    def _step(self, model: nn.Module, batch: AnyBatch, iteration: int) -> dict[str, Tensor]:
        """One step of the optimiser; the loss terms, their sum and the length of the gradient, detached."""
        run, optimizer = self._config.run, self._optimizer
        seed = run.seed + _ITERATION_STRIDE * iteration + _RANK_STRIDE * self._processes.rank
        torch.manual_seed(seed)
        self._stage.reseed(seed)
        rate = learning_rate(self._config.optimizer, iteration, run.iterations)
        set_learning_rate(optimizer, rate)
        optimizer.zero_grad(set_to_none=True)
        losses = model(batch)
        objective = total(losses)
        terms = {f"loss/{name}": value.detach() for name, value in losses.items()}
        terms["loss/total"] = objective.detach()
        self._stop_unless_finite(objective.detach(), "loss", iteration, batch, terms)
        objective.backward()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        terms["gradient_norm"] = nn.utils.clip_grad_norm_(parameters, self._config.optimizer.clip_norm).detach()
        self._stop_unless_finite(terms["gradient_norm"], "gradient", iteration, batch, terms)
        optimizer.step()
        return terms

    def _stop_unless_finite(
        self, value: Tensor, what: str, iteration: int, batch: AnyBatch, terms: dict[str, Tensor]
    ) -> None:
        """All processes stop together, before the weights are touched."""
        own = not bool(torch.isfinite(value))
        if not self._processes.any(own):
            return
        path = self._folder / f"diverged-{iteration:08d}-rank{self._processes.rank}.pt"
        if own:
            content = {
                "iteration": iteration,
                "batch": asdict(batch.to("cpu")),
                "terms": {name: float(term) for name, term in terms.items()},
            }
            write_whole_file(path, lambda stream: torch.save(content, stream))
        wrong = [name for name, term in terms.items() if not bool(torch.isfinite(term))]
        raise DivergedError(
            f"the {what} of iteration {iteration} is NaN or infinite ({', '.join(wrong) or 'in another process'}; "
            f"frames {', '.join(batch.tokens)}); the batch is kept in {path.parent}; lower optimizer.lr, or go on from "
            f"the last checkpoint with --resume"
        )

    def _save(self, iteration: int) -> None:
        if self._processes.is_main:
            self._checkpoints.save(Checkpoint(iteration, self._stage.state_dict(), self._optimizer.state_dict()))
        self._processes.wait()


class _Window:
    """Sums between two rows of the log."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = 0
        self._waited = 0.0
        self._began = self._mark = perf_counter()

    def loaded(self) -> None:
        """A batch has arrived."""
        self._waited += perf_counter() - self._mark

    def stepped(self, terms: dict[str, Tensor]) -> None:
        """A step is done."""
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, torch.zeros(())) + value.float()
        self._steps += 1
        self._mark = perf_counter()

    def means(self, processes: Processes) -> dict[str, float]:
        """Means over steps and processes."""
        names = sorted(self._sums)
        values = processes.mean(torch.stack([self._sums[name] for name in names]) / self._steps)
        elapsed = perf_counter() - self._began
        times = {"seconds_per_step": elapsed / self._steps, "seconds_waiting": self._waited / self._steps}
        return {**dict(zip(names, values.tolist(), strict=True)), **times}

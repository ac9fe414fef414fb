"""Soft pseudo-labels that are stored in files (method.md §4)."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.dist import get_dist_info, is_main_process
from mmengine.runner import Runner, load_state_dict
from mmseg.registry import HOOKS
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from ...checkpoint_record import record_of
from ...datasets.domain import DomainDataset
from ...errors import InputError, MissingFileError
from ...methods.base import MultiTargetSegmentor, segmentor_of
from ...pseudo_labels.store import (
    Manifest,
    PseudoLabelGeneration,
    generations,
    remove_generations,
)
from ...safe_load import read_checkpoint
from ..precision import PRECISIONS, computing_in, precision_of
from ..runner_access import is_training
from .refresh_hook import RefreshHook


@HOOKS.register_module()
class PseudoLabelHook(RefreshHook):
    """Store soft pseudo-labels of the targets' training images and pass them to the data loader.

    Before training and at each refresh, the network labels whole images in eval mode and writes a
    generation of files. The loader is then restarted at its position in the stream, so that no
    prefetched sample has an old label.

    Args:
        pipeline (Sequence[dict]): Transforms to the working size, without augmentation.
        interval (int): Iterations between refreshes; a multiple of the validation interval.
        batch_size (int): Images per forward pass, which must have the same size.
        num_workers (int, optional): Number of loader processes; by default that of the training.
        precision (str, optional): Precision of forward passes: 'fp32', 'tf32', 'bf16' or 'fp16';
            by default that of the training.

    Raises:
        InputError: If the precision is unknown.
    """

    def __init__(
        self,
        pipeline: Sequence[dict],
        interval: int = 10000,
        batch_size: int = 16,
        num_workers: int | None = None,
        precision: str | None = None,
    ) -> None:
        super().__init__(interval)
        if precision not in (None, *PRECISIONS):
            raise InputError(
                f'PseudoLabelHook.precision is {precision!r}: set it to one of '
                f'{", ".join(PRECISIONS)}.'
            )
        self.pipeline = Compose(pipeline)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.precision = precision

    def before_run(self, runner: Runner) -> None:
        """Check a training before anything is computed.

        Raises:
            InputError: See :meth:`RefreshHook.before_run`. Also if the loader has persistent
                workers, or would resize pseudo-labels in another way than the heads resize logits.
        """
        super().before_run(runner)
        if is_training(runner):
            check_corners(segmentor_of(runner), runner.train_loop.dataloader.dataset.targets)
        if is_training(runner) and runner.train_loop.dataloader.persistent_workers:
            raise InputError(
                'train_dataloader.persistent_workers is True, but the workers are restarted at '
                'each refresh of the pseudo-labels: set it to False.'
            )
        self.root = Path(runner.work_dir, 'pseudo_labels')

    def before_train(self, runner: Runner) -> None:
        """Make the first pseudo-labels, or restore those in use when the run was interrupted.

        Raises:
            MissingFileError: If the pseudo-labels of a resumed run are damaged, and so are the
                weights beside them.
        """
        if runner.iter < runner.max_iters:
            # generations of another run, or made after the checkpoint from which the run resumes
            remove_generations(self.root, lambda iteration: iteration >= runner.iter)
        super().before_train(runner)

    def refresh(self, runner: Runner, checkpoint: str) -> None:
        """Write a new generation and use it."""
        self.use(runner, self.generate(runner, checkpoint))

    def restore(self, runner: Runner) -> None:
        """Use the generation of the interrupted run; if it is damaged, make it again."""
        generation = PseudoLabelGeneration(self.root, runner.iter - runner.iter % self.interval)
        if damage := generation.find_damage():
            self.regenerate(runner, generation, damage)
        self.use(runner, generation)

    def regenerate(self, runner: Runner, generation: PseudoLabelGeneration, damage: str) -> None:
        """Make a generation again with the network that made it, whose weights it contains.

        Raises:
            MissingFileError: If these weights are missing or damaged as well.
        """
        manifest = generation.manifest
        segmentor = segmentor_of(runner)
        weights = {name: value.clone() for name, value in segmentor.state_dict().items()}
        path = None if manifest is None else self.load_network(runner, generation, manifest)
        if manifest is None or path is None:
            raise MissingFileError(
                f'{damage}, and the weights that made these pseudo-labels, '
                f'{generation.network_path}, are missing or damaged: restore the files or start a '
                'new run.'
            )
        runner.logger.info(f'{damage}: made again with {path}.')
        self.generate(runner, manifest.checkpoint, generation.iteration)
        segmentor.load_state_dict(weights)

    def load_network(
        self, runner: Runner, generation: PseudoLabelGeneration, manifest: Manifest
    ) -> Path | None:
        """Load the network that made a generation; None if no file has its weights."""
        segmentor = segmentor_of(runner)
        # generations of earlier versions have no weights of their own
        checkpoint = Path(runner.work_dir, Path(manifest.checkpoint).name)
        for path in filter(Path.is_file, (generation.network_path, checkpoint)):
            segmentor.require(segmentor.labelling_parts)
            try:
                load_state_dict(segmentor, record_of(read_checkpoint(path), path).state_dict)
            except InputError as error:
                runner.logger.warning(str(error))
                continue
            if weights_digest(segmentor) == manifest.weights:
                return path
        return None

    def use(self, runner: Runner, generation: PseudoLabelGeneration) -> None:
        """Restart the loader with this generation, from the next iteration on."""
        runner.train_loop.dataloader.dataset.pseudo_labels = generation
        runner.train_loop.restart_loader()

    @torch.no_grad()
    def generate(
        self, runner: Runner, checkpoint: str, iteration: int | None = None
    ) -> PseudoLabelGeneration:
        """Write a generation, with the network in eval mode.

        Each process labels its share of the targets' images.

        Args:
            runner (Runner): The runner.
            checkpoint (str): The checkpoint of the network's weights, for the manifest.
            iteration (int, optional): Iteration of the generation; by default that of the training.

        Returns:
            PseudoLabelGeneration: The complete generation.
        """
        iteration = runner.iter if iteration is None else iteration
        generation = PseudoLabelGeneration(self.root, iteration)
        generation.begin()
        segmentor = segmentor_of(runner)
        precision = self.precision or precision_of(runner.cfg.get('optim_wrapper'))
        was_training = segmentor.training
        segmentor.eval()
        for index, domain in enumerate(runner.train_loop.dataloader.dataset.targets):
            loader = self.build_loader(runner, TargetImages(domain, self.pipeline))
            title = f'Pseudo-labels {domain.domain} after iteration {iteration}'
            with ThreadPoolExecutor() as writers:
                written: list[Future] = []
                for batch in track(loader, title, disable=not is_main_process()):
                    batch = segmentor.data_preprocessor(batch, False)
                    inputs = batch['inputs']
                    with computing_in(precision, inputs.device.type):
                        soft = segmentor.soft_pseudo_label(inputs, index)
                    soft = soft.cpu().numpy()
                    # one batch is written while the next is computed
                    wait_for(written)
                    written = [
                        writers.submit(generation.write, domain.domain, sample.sample_name, each)
                        for sample, each in zip(batch['data_samples'], soft)
                    ]
                wait_for(written)
        segmentor.train(was_training)
        if is_main_process():
            generation.write_network(labelling_weights(segmentor))
        generation.finish(
            dict(
                iteration=iteration,
                checkpoint=checkpoint,
                weights=weights_digest(segmentor),
                pipeline=repr(self.pipeline),
            )
        )
        # the previous generation is kept, since the run may be resumed from an earlier checkpoint
        kept = {each.iteration for each in generations(self.root)[-2:]}
        remove_generations(self.root, lambda iteration: iteration not in kept)
        return generation

    def build_loader(self, runner: Runner, images: 'TargetImages') -> DataLoader:
        """Build a loader over this process's share of the images."""
        rank, world_size = get_dist_info()
        num_workers = self.num_workers
        if num_workers is None:
            num_workers = runner.train_loop.dataloader.num_workers
        return DataLoader(
            Subset(images, range(rank, len(images), world_size)),
            batch_size=self.batch_size,
            num_workers=num_workers,
            collate_fn=pseudo_collate,
        )


def check_corners(segmentor: MultiTargetSegmentor, targets: Sequence[DomainDataset]) -> None:
    """Raise InputError if the loader and the decode heads resize in different ways."""
    for step in (step for target in targets for step in target.pipeline.transforms):
        found = getattr(step, 'align_corners', segmentor.align_corners)
        if found != segmentor.align_corners:
            raise InputError(
                f'{type(step).__name__}.align_corners of the target_pipeline is {found}, but '
                f'model.decode_head.align_corners is {segmentor.align_corners}: make them equal, '
                'so that pseudo-labels stay at the positions where they were predicted.'
            )


class TargetImages(Dataset):
    """The images of a target with another pipeline than in training.

    Args:
        domain (DomainDataset): The target.
        pipeline (Compose): The transforms.
    """

    def __init__(self, domain: DomainDataset, pipeline: Compose) -> None:
        self.domain = domain
        self.pipeline = pipeline

    def __len__(self) -> int:
        """Number of images."""
        return len(self.domain)

    def __getitem__(self, index: int) -> dict:
        """``dict(inputs=Tensor, data_samples=SegDataSample)``."""
        return self.domain.run_pipeline(self.pipeline, self.domain.get_data_info(index))


def labelling_weights(segmentor: MultiTargetSegmentor) -> dict[str, Tensor]:
    """Return the weights that predict pseudo-labels, on the CPU."""
    return {
        name: value.cpu()
        for name, value in segmentor.state_dict().items()
        if name.startswith(segmentor.labelling_parts)
    }


def weights_digest(segmentor: MultiTargetSegmentor) -> str:
    """Return the SHA-256 of the weights that predict pseudo-labels."""
    digest = hashlib.sha256()
    for value in labelling_weights(segmentor).values():
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def wait_for(futures: Sequence[Future]) -> None:
    """Wait for threads, and raise the exception that one of them has raised."""
    for future in futures:
        future.result()

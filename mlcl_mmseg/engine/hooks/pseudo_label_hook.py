"""Pseudo-label initialisation and refresh (method.md §4)."""

from collections.abc import Sequence
from pathlib import Path

import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.dist import barrier, get_dist_info, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, load_checkpoint
from mmseg.registry import HOOKS
from rich.progress import track
from torch.utils.data import DataLoader, Dataset, Subset

from ...pseudo_labels.store import PseudoLabelGeneration, generations, remove_generations


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Generates soft pseudo-labels of the targets' training images and hands them to the loader.

    Before training, with the warm-up model that ``load_from`` names; then every ``interval``
    iterations (not at the last), right after that iteration's validation, with the best checkpoint
    so far, which is loaded into the network while the optimiser keeps its state. After each, the
    loader starts anew at its place in the stream, so that no prefetched sample keeps an old label.

    Args:
        interval (int): Iterations between refreshes; a multiple of the validation interval.
        pipeline (Sequence[dict]): Transforms to the working size, without augmentation.
        batch_size (int): Images per forward pass; images of a pass must be of one size.
        num_workers (int): Loader processes.
    """

    # after CheckpointHook, whose best checkpoint it takes
    priority = 'LOWEST'

    def __init__(
        self,
        pipeline: Sequence[dict],
        interval: int = 10000,
        batch_size: int = 4,
        num_workers: int = 4,
    ) -> None:
        self.pipeline = Compose(pipeline)
        self.interval = interval
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_run(self, runner: Runner) -> None:
        """Check the schedule.

        Raises:
            ValueError: If a refresh would fall between two validations, MCL has no warm-up to
                start from, or the loader's workers would outlive a refresh.
        """
        loop = runner.train_loop
        if self.interval % loop.val_interval:
            raise ValueError(
                f'PseudoLabelHook.interval is {self.interval}, but a refresh follows a validation: '
                f'make it a multiple of train_cfg.val_interval ({loop.val_interval}).'
            )
        if runner._load_from is None and not runner._resume:
            raise ValueError(
                'MCL starts from a warm-up, but load_from is not set: pass '
                '--cfg-options load_from=work_dirs/WARMUP/best_mIoU_iter_N.pth.'
            )
        if loop.dataloader.persistent_workers:
            raise ValueError(
                'train_dataloader.persistent_workers is True, but the workers are restarted at '
                'each refresh of the pseudo-labels: set it to False.'
            )
        self.root = Path(runner.work_dir, 'pseudo_labels')

    def before_train(self, runner: Runner) -> None:
        """Generate the first pseudo-labels, or take up those in use when the run was interrupted.

        Raises:
            FileNotFoundError: If a resumed run finds no pseudo-labels.
        """
        if runner.iter == 0:
            generation = self.generate(runner)
        else:
            found = [each for each in generations(self.root) if each.iteration <= runner.iter]
            if not found:
                raise FileNotFoundError(
                    f'{self.root} has no pseudo-labels to resume iteration {runner.iter} with: '
                    'put the folder back or start anew.'
                )
            generation = found[-1]
        self.use(runner, generation)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Refresh the pseudo-labels if they are due."""
        due = runner.iter > 0 and runner.iter % self.interval == 0
        if not due or runner.iter >= runner.max_iters:
            return
        barrier()
        best = runner.message_hub.get_info('best_ckpt')
        runner.logger.info(f'Pseudo-label refresh with {best}.')
        load_checkpoint(segmentor_of(runner), best, map_location='cpu', strict=True)
        self.use(runner, self.generate(runner))

    def use(self, runner: Runner, generation: PseudoLabelGeneration) -> None:
        """Let the loader go on with this generation, from the iteration that comes next."""
        loop = runner.train_loop
        loop.dataloader.dataset.pseudo_labels = generation
        loop.dataloader.sampler.skip(runner.iter * loop.dataloader.batch_size)
        loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)

    @torch.no_grad()
    def generate(self, runner: Runner) -> PseudoLabelGeneration:
        """Run the network in eval mode over this process's share of the targets' images."""
        generation = PseudoLabelGeneration(self.root, runner.iter)
        generation.begin()
        segmentor = segmentor_of(runner)
        was_training = segmentor.training
        segmentor.eval()
        for index, domain in enumerate(runner.train_loop.dataloader.dataset.targets):
            loader = self.build_loader(TargetImages(domain, self.pipeline))
            title = f'Pseudo-labels {domain.domain} after iteration {runner.iter}'
            for batch in track(loader, title, disable=not is_main_process()):
                batch = segmentor.data_preprocessor(batch, False)
                soft = segmentor.soft_pseudo_label(batch['inputs'], index).cpu().numpy()
                for sample, each in zip(batch['data_samples'], soft):
                    generation.write(domain.domain, sample.sample_name, each)
        segmentor.train(was_training)
        generation.finish()
        # the one before stays: the run may be resumed from a checkpoint of its time
        remove_generations(self.root, keep=2)
        return generation

    def build_loader(self, images: 'TargetImages') -> DataLoader:
        """A loader over this process's share of the images."""
        rank, world_size = get_dist_info()
        return DataLoader(
            Subset(images, range(rank, len(images), world_size)),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            collate_fn=pseudo_collate,
        )


class TargetImages(Dataset):
    """A target's images through another pipeline than training's.

    Args:
        domain (DomainDataset): The target.
        pipeline (Compose): The transforms.
    """

    def __init__(self, domain, pipeline: Compose) -> None:
        self.domain = domain
        self.pipeline = pipeline

    def __len__(self) -> int:
        """Number of images."""
        return len(self.domain)

    def __getitem__(self, index: int) -> dict:
        """``dict(inputs=Tensor, data_samples=SegDataSample)``."""
        return self.pipeline(self.domain.get_data_info(index))


def segmentor_of(runner: Runner) -> torch.nn.Module:
    """The segmentor, without its distributed wrapper."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model

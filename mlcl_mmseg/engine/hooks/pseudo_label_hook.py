"""Pseudo-label initialisation and refresh (method.md §4)."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.dist import barrier, get_dist_info, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop, Runner, load_checkpoint
from mmseg.registry import HOOKS
from rich.progress import track
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from ...errors import InputError, MissingFileError
from ...models.segmentors.multi_target import WARMUP_PARTS
from ...pseudo_labels.store import PseudoLabelGeneration, generations, remove_generations
from ..model_wrapper import segmentor_of


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

    # after CheckpointHook, whose best checkpoint it takes, and before ResumeHook
    priority = 95

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
        """Check the schedule of a training before anything is computed.

        Raises:
            InputError: If a refresh would find no validation or no best checkpoint, MCL has no
                warm-up to start from, or the loader's workers would outlive a refresh.
        """
        if not is_training(runner):
            return
        loop = runner.train_loop
        first = max(loop.val_interval, loop.val_begin)
        if runner.val_loop is None or self.interval % loop.val_interval or self.interval < first:
            raise InputError(
                f'PseudoLabelHook.interval is {self.interval}, but a refresh follows a validation: '
                f'make it a multiple of train_cfg.val_interval ({loop.val_interval}), not below '
                f'val_begin ({loop.val_begin}), and validate.'
            )
        if not any(isinstance(hook, CheckpointHook) and hook.save_best for hook in runner.hooks):
            raise InputError(
                'PseudoLabelHook refreshes with the best checkpoint, but none is kept: set '
                "default_hooks.checkpoint.save_best='mIoU'."
            )
        if runner._load_from is None and not runner._resume:
            raise InputError(
                'MCL starts from a warm-up, but load_from is not set: name its config as '
                "warmup='FILE.py', or pass --cfg-options load_from=CHECKPOINT."
            )
        if loop.dataloader.persistent_workers:
            raise InputError(
                'train_dataloader.persistent_workers is True, but the workers are restarted at '
                'each refresh of the pseudo-labels: set it to False.'
            )
        self.root = Path(runner.work_dir, 'pseudo_labels')

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Let a training start from a warm-up, and from no other setting's.

        Raises:
            InputError: If the checkpoint names another source or other targets.
        """
        if not is_training(runner):
            return
        if not runner._resume:
            segmentor_of(runner).needed_parts = WARMUP_PARTS
        found = checkpoint.get('meta', {}).get('dataset_meta', {})
        expected = runner.train_loop.dataloader.dataset.metainfo
        for key in ('source', 'targets'):
            if key in found and found[key] != expected[key]:
                raise InputError(
                    f'The checkpoint was trained with {key} {found[key]}, but this run has '
                    f'{expected[key]}: use the checkpoint of the same setting.'
                )

    def before_train(self, runner: Runner) -> None:
        """Generate the first pseudo-labels, or take up those in use when the run was interrupted.

        At a refresh there is nothing to do: ResumeHook repeats the validation, and with it the
        refresh.

        Raises:
            MissingFileError: If the pseudo-labels of a resumed run are damaged, and what made them
                is gone.
        """
        if runner.iter >= runner.max_iters:
            return
        # what another run left, or what came after the checkpoint that is resumed
        remove_generations(self.root, lambda iteration: iteration >= runner.iter)
        if runner.iter == 0:
            self.use(runner, self.generate(runner, runner._load_from))
        elif not self.is_due(runner):
            generation = PseudoLabelGeneration(self.root, runner.iter - runner.iter % self.interval)
            if damage := generation.find_damage():
                self.regenerate(runner, generation, damage)
            self.use(runner, generation)

    def is_due(self, runner: Runner) -> bool:
        """Whether the pseudo-labels are refreshed after the iterations done so far."""
        return 0 < runner.iter < runner.max_iters and runner.iter % self.interval == 0

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Refresh the pseudo-labels if they are due."""
        if not self.is_due(runner):
            return
        barrier()
        best = runner.message_hub.get_info('best_ckpt')
        runner.logger.info(f'Pseudo-label refresh with {best}.')
        load_checkpoint(segmentor_of(runner), best, map_location='cpu', strict=True)
        self.use(runner, self.generate(runner, best))

    def regenerate(self, runner: Runner, generation: PseudoLabelGeneration, damage: str) -> None:
        """Make a generation again with the checkpoint that made it.

        Raises:
            MissingFileError: If that is gone or another by now.
        """
        manifest = generation.manifest or {}
        path = Path(manifest.get('checkpoint', ''))
        places = [place for place in (path, Path(runner.work_dir, path.name)) if place.is_file()]
        segmentor = segmentor_of(runner)
        weights = {name: value.clone() for name, value in segmentor.state_dict().items()}
        if places:
            segmentor.needed_parts = WARMUP_PARTS
            load_checkpoint(segmentor, str(places[0]), map_location='cpu')
        if not places or weights_digest(segmentor) != manifest['weights']:
            raise MissingFileError(
                f'{damage}, and the checkpoint that made these pseudo-labels '
                f'({manifest.get("checkpoint", "unknown")}) is gone: put the files back or start '
                'anew.'
            )
        runner.logger.info(f'{damage}: made anew with {places[0]}.')
        self.generate(runner, manifest['checkpoint'], generation.iteration)
        segmentor.load_state_dict(weights)

    def use(self, runner: Runner, generation: PseudoLabelGeneration) -> None:
        """Let the loader go on with this generation, from the iteration that comes next."""
        runner.train_loop.dataloader.dataset.pseudo_labels = generation
        runner.train_loop.restart_loader()

    @torch.no_grad()
    def generate(
        self, runner: Runner, checkpoint: str, iteration: int | None = None
    ) -> PseudoLabelGeneration:
        """Run the network in eval mode over this process's share of the targets' images.

        Args:
            runner (Runner): The runner.
            checkpoint (str): Where the network's weights come from, for the manifest.
            iteration (int, optional): Of the generation; that of the training by default.

        Returns:
            PseudoLabelGeneration: The complete generation.
        """
        iteration = runner.iter if iteration is None else iteration
        generation = PseudoLabelGeneration(self.root, iteration)
        generation.begin()
        segmentor = segmentor_of(runner)
        was_training = segmentor.training
        segmentor.eval()
        for index, domain in enumerate(runner.train_loop.dataloader.dataset.targets):
            loader = self.build_loader(TargetImages(domain, self.pipeline))
            title = f'Pseudo-labels {domain.domain} after iteration {iteration}'
            for batch in track(loader, title, disable=not is_main_process()):
                batch = segmentor.data_preprocessor(batch, False)
                soft = segmentor.soft_pseudo_label(batch['inputs'], index).cpu().numpy()
                for sample, each in zip(batch['data_samples'], soft):
                    generation.write(domain.domain, sample.sample_name, each)
        segmentor.train(was_training)
        generation.finish(
            dict(
                iteration=iteration,
                checkpoint=checkpoint,
                weights=weights_digest(segmentor),
                pipeline=repr(self.pipeline),
            )
        )
        # the one before stays: the run may be resumed from a checkpoint of its time
        kept = {each.iteration for each in generations(self.root)[-2:]}
        remove_generations(self.root, lambda iteration: iteration not in kept)
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
        return self.domain.run_pipeline(self.pipeline, self.domain.get_data_info(index))


def weights_digest(segmentor: nn.Module) -> str:
    """A digest of the weights that make pseudo-labels: those of the backbone and domain heads."""
    digest = hashlib.sha256()
    for name, value in segmentor.state_dict().items():
        if name.startswith(WARMUP_PARTS):
            digest.update(value.cpu().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def is_training(runner: Runner) -> bool:
    """Whether the runner trains; one that tests has built no training loop."""
    return isinstance(runner._train_loop, BaseLoop)

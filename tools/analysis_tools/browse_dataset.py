"""Show the batches that training uses: mlcl browse_dataset CONFIG --out DIR.

It writes a contact sheet for each batch, starting with the first. Pseudo-labels are read from a
work dir, or predicted by a checkpoint: that of the command line, of load_from, or of the complete
stage before.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmseg.registry import DATASETS, MODELS
from rich.progress import track
from torch.utils.data import DataLoader, Subset, default_collate

from mlcl_mmseg.command_line import add_cfg_options, check_writable, count, load_config
from mlcl_mmseg.datasets import MultiDomainDataset, StreamPosition
from mlcl_mmseg.deployment.pictures import write_picture
from mlcl_mmseg.engine.hooks.pseudo_label_hook import TargetImages
from mlcl_mmseg.engine.stage_files import best_checkpoint, check_checkpoint, is_complete
from mlcl_mmseg.errors import InputError, printable
from mlcl_mmseg.methods.base import DomainSegmentor, MultiTargetSegmentor
from mlcl_mmseg.outputs import add_overwrite, check_outputs
from mlcl_mmseg.pseudo_labels import PseudoLabelGeneration, generations
from mlcl_mmseg.pseudo_labels.teacher import Teacher
from mlcl_mmseg.tool_exit import end_with_sentence
from mlcl_mmseg.visualization.batch_sheet import batch_sheet

LOADER, TEACHER = 'LoadSoftPseudoLabel', 'TeacherHook'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Show the batches that training uses')
    parser.add_argument('config', help='config file')
    parser.add_argument('--out', required=True, help='folder for the contact sheets')
    parser.add_argument(
        '--batches', type=count, default=2, help='number of batches, starting with the first'
    )
    parser.add_argument('--seed', type=int, help="seed of the stream (default: the config's)")
    labels = parser.add_mutually_exclusive_group()
    labels.add_argument('--work-dir', help='work dir of a run whose latest pseudo-labels are shown')
    labels.add_argument('--checkpoint', help='checkpoint that predicts pseudo-labels')
    add_overwrite(parser)
    add_cfg_options(parser)
    return parser.parse_args()


def checkpoint_of(config: Config, given: str | None) -> str | None:
    """The checkpoint that predicts pseudo-labels.

    It is ``given``, or ``load_from`` of the config, or the best checkpoint of the stage before if
    that is complete, or None.
    """
    path = given or config.get('load_from')
    if path is None and config.get('stage_before') is not None:
        before = load_config(config.stage_before, {}, None, 'none')
        path = best_checkpoint(before) if is_complete(before) else None
    check_checkpoint(path)
    return path


def latest_generation(work_dir: str) -> PseudoLabelGeneration:
    """The latest pseudo-labels of a run.

    Raises:
        InputError: If the run has no pseudo-labels.
    """
    found = generations(Path(work_dir, 'pseudo_labels'))
    if not found:
        raise InputError(
            f'{work_dir} has no pseudo-labels: use the work dir of a run that stores some, or '
            '--checkpoint.'
        )
    return found[-1]


@torch.no_grad()
def generate(
    config: Config,
    segmentor: MultiTargetSegmentor,
    dataset: MultiDomainDataset,
    positions: Sequence[StreamPosition],
    folder: str,
) -> PseudoLabelGeneration:
    """Predict pseudo-labels for the images at some positions of the stream.

    PseudoLabelHook does the same for all images in training.
    """
    hook = next((each for each in config.custom_hooks if each.type == 'PseudoLabelHook'), None)
    if hook is None:
        raise InputError('There is no PseudoLabelHook: add it to custom_hooks of the config.')
    generation = PseudoLabelGeneration(folder, 0)
    generation.begin()
    for index, domain in enumerate(dataset.targets):
        images = {dataset.image_at(index + 1, position) for position in positions}
        loader = DataLoader(
            Subset(TargetImages(domain, Compose(hook.pipeline)), sorted(images)),
            collate_fn=pseudo_collate,
        )
        for batch in track(loader, f'Pseudo-labels {domain.domain}'):
            batch = segmentor.data_preprocessor(batch, False)
            (soft,) = segmentor.soft_pseudo_label(batch['inputs'], index)
            name = batch['data_samples'][0].sample_name
            generation.write(domain.domain, name, soft.cpu().numpy())
    generation.partial_folder.rename(generation.folder)
    return generation


@contextmanager
def labelled(
    config: Config,
    args: argparse.Namespace,
    segmentor: DomainSegmentor,
    positions: Sequence[StreamPosition],
) -> Iterator[tuple[MultiDomainDataset, str]]:
    """The training data set with pseudo-labels if available, and a note on their source."""
    settings = config.train_dataloader.dataset
    stored = any(step['type'] == LOADER for step in settings.target_pipeline)
    in_step = any(hook.type == TEACHER for hook in config.get('custom_hooks') or [])
    if not (stored or in_step):
        yield DATASETS.build(settings), 'This stage has no pseudo-labels'
        return
    if args.work_dir is not None:
        if not stored:
            raise InputError('This config stores no pseudo-labels: use --checkpoint instead.')
        dataset = DATASETS.build(settings)
        dataset.pseudo_labels = latest_generation(args.work_dir)
        yield dataset, f'Pseudo-labels from {dataset.pseudo_labels.folder}'
        return
    checkpoint = checkpoint_of(config, args.checkpoint)
    if checkpoint is None:
        settings.target_pipeline = [
            step for step in settings.target_pipeline if step['type'] != LOADER
        ]
        yield DATASETS.build(settings), 'WITHOUT PSEUDO-LABELS: use --work-dir or --checkpoint'
        return
    segmentor.require(segmentor.labelling_parts)
    load_checkpoint(segmentor, checkpoint, map_location='cpu')
    dataset = DATASETS.build(settings)
    with tempfile.TemporaryDirectory() as folder:
        if stored:
            dataset.pseudo_labels = generate(config, segmentor, dataset, positions, folder)
        else:
            segmentor.teacher = Teacher(segmentor)
        yield dataset, f'Pseudo-labels by {checkpoint}'


def main() -> None:
    """Write the contact sheets."""
    args = parse_args()
    config = load_config(args.config, args.cfg_options, None, 'none')
    sheets = [Path(args.out, f'iteration_{number + 1}.png') for number in range(args.batches)]
    check_outputs(sheets, overwrite=args.overwrite)
    check_writable(args.out, '--out')
    init_default_scope('mmseg')
    # only pseudo-labels need the weights of the network, and a checkpoint supplies them
    config.model.backbone.init_cfg = None
    segmentor = MODELS.build(config.model).eval()
    size = config.train_dataloader.batch_size
    seed = args.seed if args.seed is not None else config.randomness.get('seed') or 0
    positions = [StreamPosition(seed, index) for index in range(args.batches * size)]
    with labelled(config, args, segmentor, positions) as (dataset, labels):
        for number in track(range(args.batches), f'Contact sheets to {printable(args.out)}'):
            samples = [dataset[each] for each in positions[number * size : (number + 1) * size]]
            batch = segmentor.data_preprocessor(default_collate(samples), True)['inputs']
            title = f'{args.config}, seed {seed}, iteration {number + 1}'
            sheet = batch_sheet(segmentor, dataset, batch, (title, labels))
            write_picture(sheets[number], sheet)


if __name__ == '__main__':
    end_with_sentence(main)

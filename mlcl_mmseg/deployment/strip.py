"""Reduce checkpoints to the weights that prediction needs."""

from collections.abc import Collection
from typing import Any

from ..checkpoint_record import DATASET_META, REMEDY, check_finite, probable_buffers, record_of
from ..errors import InputError
from ..methods.base import DomainSegmentor, MultiTargetSegmentor

PARTS = 'deployed_parts'


def parts_of(names: Collection[str]) -> tuple[str, ...]:
    """The parts that prediction needs, for a checkpoint that does not list them."""
    if any(name.startswith('decode_head.') for name in names):
        return DomainSegmentor.deployed_parts
    return MultiTargetSegmentor.labelling_parts


def strip(checkpoint: Any, path: str) -> dict:
    """Keep only the weights that prediction needs.

    A checkpoint lists their prefixes in ``meta['deployed_parts']``. If it does not, because an
    earlier version wrote it, backbone, neck and decode head are kept or, if there is no decode
    head, backbone, neck and domain heads.

    Args:
        checkpoint (Any): A checkpoint from :func:`mlcl_mmseg.safe_load.read_checkpoint`.
        path (str): Path of the checkpoint, for the error message.

    Returns:
        dict: ``state_dict``, and ``meta`` with the iteration and the names and colours of the
        classes. ``tools/test.py``, ``mmseg.apis`` and the other tools accept it, but training
        cannot be resumed from it.

    Raises:
        InputError: If it is not a checkpoint with a backbone and a head, or has weights that are
            not finite.
    """
    state_dict, meta = record_of(checkpoint, path)
    parts = meta.get(PARTS) or parts_of(state_dict)
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise InputError(f'{path} has meta.{PARTS} that are not names: {REMEDY}.')
    kept = {name: each for name, each in state_dict.items() if name.startswith(tuple(parts))}
    if not any('head' in name.split('.')[0] for name in kept):
        raise InputError(f'{path} has no decode_head: {REMEDY}.')
    check_finite(kept, probable_buffers(kept), path)
    return dict(
        meta={key: meta[key] for key in ('iter', DATASET_META) if key in meta}, state_dict=kept
    )

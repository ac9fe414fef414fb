"""Checkpoints with what deployment needs, and nothing else."""

from ..errors import InputError
from ..methods.base import DomainSegmentor, MultiTargetSegmentor


def parts_of(state_dict: dict) -> tuple[str, ...]:
    """The parts that predict in a checkpoint which does not name them."""
    has_decode_head = any(name.startswith('decode_head.') for name in state_dict)
    if has_decode_head:
        return DomainSegmentor.deployed_parts
    return MultiTargetSegmentor.labelling_parts


def strip(checkpoint: dict, path: str) -> dict:
    """Keep the weights that predict, which a checkpoint names as ``meta['deployed_parts']``.

    A checkpoint of an earlier version does not: of it backbone, neck and decode head are kept or,
    where there is no decode head, the domain heads.

    Args:
        checkpoint (dict): Of :func:`mlcl_mmseg.safe_load.read_checkpoint`.
        path (str): Where it came from, for the message.

    Returns:
        dict: ``state_dict``, and ``meta`` with the iteration and the names and colours of the
        classes. ``tools/test.py``, ``mmseg.apis`` and the other tools here take it; a training
        does not go on from it.

    Raises:
        InputError: If it is no checkpoint of MMEngine with a backbone and a head.
    """
    state_dict = checkpoint.get('state_dict') if isinstance(checkpoint, dict) else None
    if not isinstance(state_dict, dict):
        raise InputError(f'{path} has no state_dict: give a checkpoint of tools/train.py.')
    meta = checkpoint.get('meta', {})
    parts = tuple(meta.get('deployed_parts') or parts_of(state_dict))
    kept = {name: value for name, value in state_dict.items() if name.startswith(parts)}
    if not any('head' in name.split('.')[0] for name in kept):
        raise InputError(f'{path} has no decode_head: give a checkpoint of tools/train.py.')
    return dict(
        meta={key: meta[key] for key in ('iter', 'dataset_meta') if key in meta}, state_dict=kept
    )

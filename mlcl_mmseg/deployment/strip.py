"""Reduce checkpoints to the weights that prediction needs."""

from ..errors import InputError
from ..methods.base import DomainSegmentor, MultiTargetSegmentor


def parts_of(state_dict: dict) -> tuple[str, ...]:
    """The parts that prediction needs, for a checkpoint that does not list them."""
    has_decode_head = any(name.startswith('decode_head.') for name in state_dict)
    if has_decode_head:
        return DomainSegmentor.deployed_parts
    return MultiTargetSegmentor.labelling_parts


def strip(checkpoint: dict, path: str) -> dict:
    """Keep only the weights that prediction needs.

    A checkpoint lists their prefixes in ``meta['deployed_parts']``. If it does not, because an
    earlier version wrote it, backbone, neck and decode head are kept or, if there is no decode
    head, backbone, neck and domain heads.

    Args:
        checkpoint (dict): A checkpoint from :func:`mlcl_mmseg.safe_load.read_checkpoint`.
        path (str): Path of the checkpoint, for the error message.

    Returns:
        dict: ``state_dict``, and ``meta`` with the iteration and the names and colours of the
        classes. ``tools/test.py``, ``mmseg.apis`` and the other tools accept it, but training
        cannot be resumed from it.

    Raises:
        InputError: If it is not an MMEngine checkpoint with a backbone and a head.
    """
    state_dict = checkpoint.get('state_dict') if isinstance(checkpoint, dict) else None
    if not isinstance(state_dict, dict):
        raise InputError(f'{path} has no state_dict: use a checkpoint of tools/train.py.')
    meta = checkpoint.get('meta', {})
    parts = tuple(meta.get('deployed_parts') or parts_of(state_dict))
    kept = {name: value for name, value in state_dict.items() if name.startswith(parts)}
    if not any('head' in name.split('.')[0] for name in kept):
        raise InputError(f'{path} has no decode_head: use a checkpoint of tools/train.py.')
    return dict(
        meta={key: meta[key] for key in ('iter', 'dataset_meta') if key in meta}, state_dict=kept
    )

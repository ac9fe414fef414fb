"""Checkpoints with what deployment needs, and nothing else."""

from ..errors import InputError
from ..methods.base import WARMUP_PARTS, DomainSegmentor


def strip(checkpoint: dict, path: str) -> dict:
    """Keep the weights that predict: backbone, neck and agnostic head.

    A warm-up has no agnostic head: of it all domain heads are kept.

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
    agnostic = any(name.startswith('decode_head.') for name in state_dict)
    parts = DomainSegmentor.needed_parts if agnostic else WARMUP_PARTS
    kept = {name: value for name, value in state_dict.items() if name.startswith(parts)}
    if not any('head' in name.split('.')[0] for name in kept):
        raise InputError(f'{path} has no decode_head: give a checkpoint of tools/train.py.')
    meta = checkpoint.get('meta', {})
    return dict(
        meta={key: meta[key] for key in ('iter', 'dataset_meta') if key in meta}, state_dict=kept
    )

"""What a resumed training takes from a checkpoint: a checked record, and nothing else.

MMEngine runs the string ``meta['config']`` of a checkpoint as Python and removes the files that
``message_hub`` names. Here, a resumed run takes numbers and tensors of a declared form from the
checkpoint, and lists the files of its work dir again.
"""

import re
from pathlib import Path
from typing import Annotated, Any

from mmengine.logging import HistoryBuffer
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictInt
from torch import Tensor

from ..checkpoint_record import is_weight
from ..json_records import Count, check_form

# files that a run writes and may remove again
CHECKPOINT, BEST = re.compile(r'iter_(\d+)\.pth'), re.compile(r'best_.+_iter_(\d+)\.pth')


class Meta(BaseModel):
    """``meta``: the position of the run, its seed, and the data set that it was trained on."""

    epoch: Count = 0
    iter: Count
    seed: Annotated[StrictInt, Field(ge=0, lt=2**32)] | None = None
    dataset_meta: dict[str, Any] = {}


class History(BaseModel):
    """A logged figure, as :class:`DurableCheckpointHook` stores it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    history: Tensor
    count: Tensor
    max_length: Annotated[StrictInt, Field(ge=1, lt=2**63)]

    def buffer(self) -> HistoryBuffer:
        """Return MMEngine's form of the figure."""
        if not (is_weight(self.history) and is_weight(self.count)):
            raise ValueError('log_scalars has values that are not numbers')
        if self.history.ndim != 1 or self.history.shape != self.count.shape:
            raise ValueError(
                f'log_scalars has {list(self.history.shape)} values and {list(self.count.shape)} '
                'counts'
            )
        return HistoryBuffer(
            self.history.detach().double().numpy(),
            self.count.detach().long().numpy(),
            self.max_length,
        )


class MessageHub(BaseModel):
    """``message_hub``: logged figures, and the figures and names of the best checkpoints."""

    log_scalars: dict[str, History] = {}
    runtime_info: dict[str, Any] = {}


class Resumed(BaseModel):
    """What MMEngine's Runner resumes from; ``resumed_optimizer`` checks the rest."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    meta: Meta
    message_hub: MessageHub
    state_dict: dict[str, Tensor]


def keep_what_is_resumed(
    checkpoint: dict[str, Any], path: Path, work_dir: Path
) -> tuple[list[str], list[Path]]:
    """Replace the parts of a checkpoint that MMEngine resumes from by what is checked.

    Other entries, such as averaged weights, belong to hooks and stay.

    Args:
        checkpoint (dict): The content of the file, which is changed.
        path (Path): The file.
        work_dir (Path): The work dir of the resumed run.

    Returns:
        tuple[list[str], list[Path]]: Names of the best checkpoints that no longer exist, and
        earlier best checkpoints that those of the record have replaced.

    Raises:
        ValueError: If a part has another form. The message names the first value that is wrong.
    """
    resumed = check_form(checkpoint, Resumed)
    name = CHECKPOINT.fullmatch(path.name)
    if name is not None and int(name[1]) != resumed.meta.iter:
        raise ValueError(f'meta.iter is {resumed.meta.iter}')
    scalars = {name: each.buffer() for name, each in resumed.message_hub.log_scalars.items()}
    info, gone = runtime_info(resumed, work_dir)
    info['last_ckpt'] = str(path)
    checkpoint['meta'] = resumed.meta.model_dump()
    checkpoint['message_hub'] = dict(
        log_scalars=scalars, runtime_info=info, resumed_keys=dict.fromkeys([*scalars, *info], True)
    )
    bests = [Path(value) for key, value in info.items() if key.startswith('best_ckpt')]
    return gone, [each for best in bests for each in replaced_by(best)]


def replaced_by(best: Path) -> list[Path]:
    """Earlier checkpoints in the same folder that were the best by the same figure."""
    start, _, end = best.name.rpartition('_iter_')
    return [
        each
        for each in best.parent.glob('best_*.pth')
        if (match := BEST.fullmatch(each.name))
        and each.name.rpartition('_iter_')[0] == start
        and int(match[1]) < int(end.removesuffix('.pth'))
    ]


def runtime_info(resumed: Resumed, work_dir: Path) -> tuple[dict[str, Any], list[str]]:
    """The best checkpoints of a run with their figures, and the checkpoints in its work dir.

    Returns:
        tuple: The entries for MMEngine's message hub, and the names of the best checkpoints that
        no longer exist.

    Raises:
        ValueError: If an entry has another form.
    """
    found = resumed.message_hub.runtime_info
    iterations = sorted(
        int(match[1]) for path in work_dir.iterdir() if (match := CHECKPOINT.fullmatch(path.name))
    )
    info: dict[str, Any] = dict(
        keep_ckpt_ids=[each for each in iterations if each <= resumed.meta.iter]
    )
    gone = []
    # 'best_ckpt' with one figure, 'best_ckpt_mIoU' and others with several
    for key in [key for key in found if key.startswith('best_ckpt') and found[key] is not None]:
        score_key = key.replace('best_ckpt', 'best_score', 1)
        name = Path(check_form(found[key], str)).name
        score = check_form(found.get(score_key), FiniteFloat)
        if not BEST.fullmatch(name):
            raise ValueError(f'{key} is {name!r}, not a name such as best_mIoU_iter_1000.pth')
        if (work_dir / name).is_file():
            info |= {key: str(work_dir / name), score_key: score}
        else:
            gone.append(name)
    return info, gone

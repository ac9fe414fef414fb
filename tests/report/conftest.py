import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from yapf.yapflib import yapf_api

from mlcl_mmseg.engine.config_record import read_config, write_config
from mlcl_mmseg.engine.stages import train_stages
from mlcl_mmseg.report.run import Run, read_run

from ..small_run import load_config, skip_rehearsal

ROOT = Path(__file__).parents[2]
# what must not become an element, an attribute or a request
HOSTILE = (
    """<img src='http://example.com/"a"' onerror="alert(1)">&amp;</td></style><script>b</script>"""
)
DOMAINS = ('cityscapes', 'idd')


def leave_run(
    work_dir: Path,
    seed: int = 0,
    figures: dict[int, tuple[float, ...]] = {1000: (60.0, 50.0), 2000: (70.0, 60.0)},  # noqa: B006
    classes: tuple[str, ...] = ('flat', 'construction'),
    **settings,
) -> Run:
    """What a run of mlcl/g2ci leaves without training: logs, and records of its validations.

    Args:
        work_dir (Path): Its folder.
        seed (int): Its seed.
        figures (dict[int, tuple[float, ...]]): By iteration, mIoU of :data:`DOMAINS`.
        classes (tuple[str, ...]): Names of two classes.
        **settings: More that decides its outcome.
    """
    log = work_dir / '20260101_000000'
    (log / 'vis_data').mkdir(parents=True)
    (log / 'validations').mkdir()
    config = Config.fromfile(ROOT / 'configs/mlcl/g2ci.py')
    config.randomness.seed = seed
    write_config(config, work_dir / 'config.json')
    started = dict(
        randomness=dict(seed=seed), train_dataloader=dict(batch_size=4), data={}, **settings
    )
    (work_dir / 'started.json').write_text(json.dumps(dict(settings=started)))
    lines = [dict(loss=3.0 - seed, time=0.5, lr=1e-3, step=50), dict(loss=1.0, time=0.7, step=100)]
    for step, values in figures.items():
        named = {f'mIoU/{name}': value for name, value in zip(DOMAINS, values)}
        lines.append({**named, 'mIoU': float(np.mean(values)), 'step': step})
        record = dict(
            iteration=step,
            classes=classes,
            palette=[[128, 64, 128], [70, 70, 70]],
            # IoU 80 / 100 and 0 / 20; of the second domain there is one class alone
            confusion=dict(zip(DOMAINS, ([[80, 0], [20, 0]], [[7, 0], [0, 0]]))),
            images={name: dict(a=10.0, b=30.0, c=20.0) for name in DOMAINS},
        )
        (log / f'validations/iter_{step}.json').write_text(json.dumps(record))
    (log / 'vis_data/scalars.json').write_text('\n'.join(map(json.dumps, lines)) + '\n')
    (log / 'environment.json').write_text(json.dumps(dict(device='cpu', PyTorch=f'2.{seed}')))
    return read_run(work_dir, work_dir.name)


@pytest.fixture(scope='session')
def trained(toy_data, tmp_path_factory) -> tuple[Path, Path, Path]:
    """Work dirs of a warm-up and of MCL on drawn scenes, and the latter as if of another seed."""
    root = tmp_path_factory.mktemp('trained')
    with pytest.MonkeyPatch.context() as patch:
        # formatting a config takes seconds
        patch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, False))
        patch.setenv('MLCL_REAL_DATA', str(toy_data))
        skip_rehearsal(patch)
        configs = [
            load_config('warmup', root / 'warmup', 2, 2),
            load_config('mlcl', root / 'mlcl', 4, 2, **{'custom_hooks.0.interval': 2}),
        ]
        for config in configs:
            config.default_hooks.logger.interval = 1
        train_stages(configs, resume=False)
    shutil.copytree(root / 'mlcl', root / 'mlcl_1')
    config = read_config(root / 'mlcl_1/config.json')
    config.randomness.seed = 1
    write_config(config, root / 'mlcl_1/config.json')
    started = json.loads((root / 'mlcl_1/started.json').read_text())
    started['settings']['randomness']['seed'] = 1
    (root / 'mlcl_1/started.json').write_text(json.dumps(started))
    return root / 'warmup', root / 'mlcl', root / 'mlcl_1'

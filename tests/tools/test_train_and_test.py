"""The whole method through the command line, on drawn scenes and, where they are, real images."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
import torch

from mlcl_mmseg.errors import InputError

from .calling import CONFIGS, ROOT, best, call, schedule

REAL_DATA = ROOT.parent / 'shared' / 'data'
DOMAINS = ('other_day', 'dusk', 'cityscapes')


def train(stage, work_dir, data, *arguments, max_iters=2, options=(), **kwargs):
    return call(
        [
            *(sys.executable, ROOT / 'tools' / 'train.py', CONFIGS / f'small_{stage}.py'),
            *('--work-dir', work_dir, *arguments),
            *('--cfg-options', *schedule(max_iters), *options),
        ],
        data,
        **kwargs,
    )


# of both stages
WHOLE_METHOD = [
    'custom_hooks.0.interval=2',
    *(f'warmup.{option}' for option in schedule(2)),
]


# starts the tasks like Slurm's and waits for them
SRUN = r"""#!/usr/bin/env bash
set -e
while [[ $1 == -* ]]; do
    case $1 in
        -p) shift ;;
        --ntasks=*) SLURM_NTASKS=${1#*=} ;;
        --gres=* | --ntasks-per-node=*) shown+=" $1" ;;
    esac
    shift
done
echo "srun: $SLURM_NTASKS tasks,$shown"
export SLURM_NTASKS
for ((task = 0; task < SLURM_NTASKS; task++)); do
    SLURM_PROCID=$task SLURM_LOCALID=$task "$@" &
    tasks+=($!)
done
for task in "${tasks[@]}"; do wait "$task"; done
"""


def table(output):
    """The last printed table: ``{class or mIoU: {domain: IoU}}``."""
    rows = re.findall(r'^\|(.+)\|$', output, re.M)
    header = max(number for number, row in enumerate(rows) if 'class' in row)
    names, *lines = ([cell.strip() for cell in row.split('|')] for row in rows[header:])
    return {line[0]: dict(zip(names[1:], map(float, line[1:]))) for line in lines}


def test_the_whole_method(toy_data, tmp_path):
    """One command for both stages, resume, test, prediction by MMSegmentation's API."""
    mlcl = tmp_path / 'mlcl'
    warmup = mlcl / 'warmup'
    output = train('mlcl', mlcl, toy_data, max_iters=4, options=WHOLE_METHOD)
    stages = re.findall(r'Stage (\d) of 2, (\w+), in (\S+), starts from (.*)\.\n', output)
    assert stages == [
        ('1', 'AdversarialWarmup', str(warmup), 'the initial weights'),
        ('2', 'MCLSegmentor', str(mlcl), str(best(warmup))),
    ]
    assert 'eta:' in output
    for work_dir, scalar in ((warmup, 'warmup/loss_source/dusk'), (mlcl, 'mcl/loss_source')):
        assert list(work_dir.rglob('events.out.tfevents.*'))
        (scalars,) = work_dir.glob('2*/vis_data/scalars.json')
        assert scalar in scalars.read_text()
    assert 'Pseudo-labels dusk after iteration 0' in output
    assert len(list((mlcl / 'pseudo_labels/iter_0').rglob('*.soft'))) == 5 + 3 + 4

    # as if it had been killed after iteration 2 of 4
    for name in ('complete.json', 'iter_4.pth'):
        (mlcl / name).unlink()
    (mlcl / 'last_checkpoint').write_text(str(mlcl / 'iter_2.pth'))
    output = train('mlcl', mlcl, toy_data, '--resume', max_iters=4, options=WHOLE_METHOD)
    assert f'MCLSegmentor, in {mlcl}, resumes from {mlcl}/iter_2.pth.' in output
    assert re.search(r'Iter\(train\) \[4/4\]', output)
    assert not re.search(r'Iter\(train\) \[2/4\]', output)

    figures = tmp_path / 'figures'
    predictions = tmp_path / 'predictions'
    output = call(
        [
            *(sys.executable, ROOT / 'tools' / 'test.py', CONFIGS / 'small_mlcl.py', best(mlcl)),
            *('--work-dir', figures, '--out', predictions),
            *('--cfg-options', 'test_dataloader.num_workers=0'),
        ],
        toy_data,
    )
    printed = table(output)
    assert list(printed) == [
        *('flat', 'construction', 'object', 'nature', 'sky', 'human', 'vehicle', 'mIoU')
    ]
    (written,) = figures.rglob('*.json')
    written = json.loads(written.read_text())
    for domain in DOMAINS:
        assert written[f'mIoU/{domain}'] == pytest.approx(printed['mIoU'][domain], abs=0.01)
        present = [row[domain] for name, row in printed.items() if name != 'mIoU']
        present = [value for value in present if value == value]
        assert sum(present) / len(present) == pytest.approx(printed['mIoU'][domain], abs=0.02)
    mean = sum(printed['mIoU'].values()) / 3
    assert written['mIoU'] == pytest.approx(mean, abs=0.02)
    assert len(list(predictions.rglob('*.png'))) == 5 + 3 + 4

    os.environ['MLCL_REAL_DATA'] = str(toy_data)
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    image = str(toy_data / 'camvid/dusk_0001TP/images/0.png')
    model = init_model(str(CONFIGS / 'small_mlcl.py'), str(best(mlcl)), device='cpu')
    assert model.dataset_meta['classes'][0] == 'flat'
    # no label is loaded: the prediction has the image's own size
    prediction = inference_model(model, image).pred_sem_seg.data[0]
    assert prediction.shape == (32, 48)
    config = str(CONFIGS / 'small_mlcl.py')
    inferencer = MMSegInferencer(config, str(best(mlcl)), device='cpu')
    again = inferencer(image, return_datasamples=True).pred_sem_seg.data[0]
    assert torch.equal(prediction, again)


def test_two_processes(toy_data, tmp_path):
    """The whole method in one launch and its test, with gloo on CPUs."""
    output = call(
        [
            *(ROOT / 'tools' / 'dist_train.sh', CONFIGS / 'small_mlcl.py', 2),
            *('--work-dir', tmp_path, '--cfg-options', *schedule(2), *WHOLE_METHOD),
        ],
        toy_data,
        PORT='29511',
    )
    assert output.count('Stage 2 of 2') == 1
    assert len(re.findall(r'Iter\(train\) \[2/2\]', output)) == 2
    assert len(list((tmp_path / 'pseudo_labels/iter_0').rglob('*.soft'))) == 5 + 3 + 4
    validated = table(output)
    # one process draws, of both stages
    assert len(list(tmp_path.rglob('vis_image/contact_sheet_*_2.png'))) == 2 * 3
    output = call(
        [
            *(ROOT / 'tools' / 'dist_test.sh', CONFIGS / 'small_mlcl.py', best(tmp_path), 2),
            *('--work-dir', tmp_path / 'test', '--cfg-options', 'test_dataloader.num_workers=0'),
        ],
        toy_data,
        PORT='29512',
    )
    assert str(table(output)) == str(validated)


def test_slurm(toy_data, tmp_path):
    """The Slurm scripts, with an srun that starts the tasks on this machine."""
    srun = tmp_path / 'bin' / 'srun'
    srun.parent.mkdir()
    srun.write_text(SRUN)
    srun.chmod(0o755)
    environment = dict(
        PATH=f'{srun.parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}'
        + os.environ['PATH'],
        GPUS='2',
        GPUS_PER_NODE='2',
        PORT='29513',
    )
    output = call(
        [
            *(ROOT / 'tools' / 'slurm_train.sh', 'partition', 'job', CONFIGS / 'small_warmup.py'),
            *('--work-dir', tmp_path / 'warmup', '--cfg-options', *schedule(2)),
        ],
        toy_data,
        **environment,
    )
    assert 'srun: 2 tasks, --gres=gpu:2 --ntasks-per-node=2' in output
    validated = table(output)
    output = call(
        [
            *(ROOT / 'tools' / 'slurm_test.sh', 'partition', 'job', CONFIGS / 'small_warmup.py'),
            *(best(tmp_path / 'warmup'), '--work-dir', tmp_path / 'test'),
            *('--cfg-options', 'test_dataloader.num_workers=0'),
        ],
        toy_data,
        **environment,
    )
    assert str(table(output)) == str(validated)


def test_learning_rates_scale_with_the_batch(toy_data, tmp_path):
    """2 images a domain instead of 4: half the rates of the network and the discriminators."""
    output = train('warmup', tmp_path, toy_data, '--auto-scale-lr')
    assert 'Scaling the original LR by 0.5' in output
    rates = re.search(r'network.lr: (\S+) discriminators.lr: (\S+)', output).groups()
    assert [float(rate) for rate in rates] == pytest.approx([5e-3, 5e-5], rel=0.02)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--cfg-options', 'lod_from=x.pth'], 'lod_from is not a setting of .*, did you mean load'),
        (['--cfg-options', 'load_from=x.pth'], 'The checkpoint x.pth does not exist: give'),
        (['--cfg-options', 'warmup.lod_from=x'], 'lod_from is not a setting of .*small_warmup.py,'),
        (['--cfg-options', 'warmup=x.py'], 'The config x.py does not exist: pass'),
        (['--cfg-options', 'warmup=None', 'warmup.resume=True'], 'stage_before.resume is for a st'),
        (['--cfg-options', 'train_cfg.max_iters=many'], "train_cfg.max_iters is 'many', but Stre"),
        (['--cfg-options', 'warmup.model.gan=1'], 'model.gan is 1, but AdversarialWarmup takes'),
        (['--amp'], 'The precision fp16 needs a GPU: use fp32 or bf16'),
        (['--launcher', 'pytorch'], 'pytorch needs the environment variable RANK: start with'),
        (['--launcher', 'slurm'], 'slurm needs the environment variable SLURM_PROCID: '),
    ],
)
def test_mistakes_on_the_command_line(
    toy_data, tmp_path, run_tool, monkeypatch, arguments, message
):
    monkeypatch.setenv('MLCL_REAL_DATA', str(toy_data))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(InputError, match=message):
        run_tool('train.py', CONFIGS / 'small_mlcl.py', '--work-dir', tmp_path, *arguments)


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--work-dir', '{}/image.png'], 'The folder {}/image.png/warmup cannot be written'),
        (['--cfg-options', 'custom_hooks.0.interval=3'], 'PseudoLabelHook.interval is 3, but'),
        (
            ['--cfg-options', 'warmup=None'],
            'MCLSegmentor starts from the previous stage, but load_f',
        ),
    ],
)
def test_mistakes_end_in_one_sentence(toy_data, tmp_path, arguments, sentence):
    """The last thing that is said, without a traceback."""
    (tmp_path / 'image.png').write_bytes(b'no image')
    arguments = [each.format(tmp_path) for each in arguments]
    if '--work-dir' not in arguments:
        arguments = ['--work-dir', tmp_path, *arguments]
    command = [sys.executable, ROOT / 'tools/train.py', CONFIGS / 'small_mlcl.py', *arguments]
    output = call(command, toy_data, fails=True)
    assert sentence.format(tmp_path) in output.splitlines()[-1]
    assert 'Traceback' not in output
    assert 'Iter(train)' not in output


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason='the real images are not here')
def test_real_images(tmp_path):
    """CamVid drives and Cityscapes frames, a few steps of both stages."""
    warmup = [f'warmup.{option}' for option in schedule(8)]
    output = train(
        *('mlcl', tmp_path, REAL_DATA),
        max_iters=8,
        options=['custom_hooks.0.interval=4', *warmup],
    )
    printed = table(output)
    assert set(printed['mIoU']) == set(DOMAINS)
    assert all(value > 0 for value in printed['mIoU'].values())
    kept = re.findall(r'mcl/kept_pixels/\w+: ([\d.]+)', output)
    assert len(kept) == 3
    assert all(0 < float(share) < 1 for share in kept)

"""The check of a GPU: its small form on a CPU, and what stands for a GPU."""

import json
from types import SimpleNamespace

import pytest
import torch

from mlcl_mmseg.benchmark import (
    device_parity,
    largest_batch,
    training,
    whole_images,
    whole_run,
)
from mlcl_mmseg.benchmark import gpu_check as module
from mlcl_mmseg.benchmark.largest_batch import StepFits
from mlcl_mmseg.command_line import read_config
from mlcl_mmseg.errors import InputError

STAGE = [
    'train_dataloader.batch_size=1',
    'model.backbone.base_channels=4',
    'model.backbone.stem_channels=4',
    'model.decode_head.in_channels=32',
    'model.decode_head.channels=32',
]
SMALL = [*STAGE, *(f'stage_before.{each}' for each in STAGE)]


@pytest.fixture
def quick(monkeypatch):
    """Small frames, and few timed steps."""
    monkeypatch.setattr('mlcl_mmseg.benchmark.inputs.FRAME', (256, 128))
    for name, most in (('throughput', 3), ('loading', 4), ('whole_run', 2)):
        monkeypatch.setattr(f'mlcl_mmseg.benchmark.{name}.MOST', most)
    monkeypatch.setattr('mlcl_mmseg.benchmark.throughput.CHUNK_SECONDS', 0.0)


@pytest.fixture
def no_profile(monkeypatch):
    """The profiler takes seconds to start."""
    monkeypatch.setattr(module, 'profile_events', lambda step, device: step() and [])
    monkeypatch.setattr(module, 'seconds_of', lambda events, device: dict(backbone=1.0))


@pytest.fixture
def check(run_tool, tmp_path, quick):
    """Run the tool; the figures that it has written."""

    def check(*arguments, device='cpu', config='configs/demo/mlcl.py', options=SMALL):
        out = tmp_path / 'out'
        run_tool(
            'gpu_check.py',
            *(config, '--device', device, '--out', out, *arguments),
            *('--cfg-options', *options),
        )
        return json.loads((out / 'gpu_check.json').read_text())

    return check


@pytest.mark.slow
def test_the_small_form(check, capsys, tmp_path):
    found = check()
    assert found['is_complete']
    assert [*module.failures(found)] == []
    assert [*found['parity']] == ['bf16']
    for name in ('fp32', 'bf16'):
        figures = found['precisions'][name]
        assert figures['seconds_per_step'] > 0
        assert figures['hours'] == pytest.approx(400 * figures['seconds_per_step'] / 3600)
        assert sum(figures['parts'].values()) == pytest.approx(1)
        assert figures['skipped_steps'] == 0
    assert found['batch'] == dict(skipped='The largest batch is only searched on GPUs.')
    assert found['compiled']['skipped'].startswith('Only on GPUs')
    assert found['loading']['seconds_per_batch']['prepared'] > 0
    assert [each['stage'] for each in found['whole_run']['stages']] == ['warmup', 'mcl']
    # tf32 of the config is fp32 here
    assert found['precision'] == 'fp32'
    assert found['environment']['versions']['device'] == 'cpu'
    page = (tmp_path / 'out/gpu_check.html').read_text()
    assert 'Not reached' not in page and 'Failed' not in page
    printed = capsys.readouterr().out
    assert 'Hours of all stages in' in printed
    assert printed.rstrip().endswith('gpu_check.html shows the check: open it in a browser.')


def test_a_part_that_fails(check, monkeypatch, capsys):
    """It is reported, and the others go on."""

    def fail(*_):
        raise RuntimeError('the library\nis broken')

    monkeypatch.setattr(module, 'throughput', fail)
    monkeypatch.setattr(module, 'loading', fail)
    with pytest.raises(InputError, match='^4 parts of the check failed, as listed above: '):
        check()
    assert 'Failed: precisions bf16: RuntimeError: the library is broken' in capsys.readouterr().out


def test_an_interrupted_check_keeps_what_it_has(check, monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.GPUCheck, 'check_precisions', interrupt)
    with pytest.raises(KeyboardInterrupt):
        check()
    found = json.loads((tmp_path / 'out/gpu_check.json').read_text())
    assert found['parity']['bf16']['passed'] is True
    assert 'precisions' not in found and not found['is_complete']
    assert 'Not reached' in (tmp_path / 'out/gpu_check.html').read_text()


def test_without_time_each_part_measures_once(check, no_profile):
    found = check('--minutes', '0.0001')
    assert found['precisions']['fp32']['steps'] == 1
    assert found['precisions']['bf16'] == dict(skipped=module.NO_TIME)
    assert found['is_complete']


def test_figures_that_are_not_finite_are_none(check, monkeypatch, tmp_path):
    not_finite = dict(
        passed=False, losses=float('inf'), statistics=0.0, gradients={}, operations={}
    )
    monkeypatch.setattr(module, 'compare', lambda *_: not_finite)
    for part in ('precisions', 'loading', 'whole_run'):
        monkeypatch.setattr(module.GPUCheck, f'check_{part}', lambda *_: dict(skipped='not now'))
    with pytest.raises(InputError, match='1 parts of the check failed'):
        check()
    found = json.loads((tmp_path / 'out/gpu_check.json').read_text())
    assert found['parity']['bf16']['losses'] is None


@pytest.fixture
def pretended_gpu(monkeypatch, no_profile):
    """A CPU in place of a GPU with 80 GiB that holds batches of up to two images."""
    properties = SimpleNamespace(name='Pretended', total_memory=80 * 2**30)
    answers = dict(
        is_available=True,
        device_count=1,
        synchronize=None,
        empty_cache=None,
        reset_peak_memory_stats=None,
        max_memory_allocated=3 * 2**30,
        max_memory_reserved=4 * 2**30,
        mem_get_info=(79 * 2**30, 80 * 2**30),
        get_device_capability=(9, 0),
        get_device_properties=properties,
    )
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda tensor: tensor)
    build = training.build_segmentor
    for each in (module, device_parity, largest_batch, whole_images, whole_run):
        monkeypatch.setattr(each, 'build_segmentor', lambda config, device: build(config, 'cpu'))
    images = whole_images.random_images
    monkeypatch.setattr(
        whole_images, 'random_images', lambda config, device, size: images(config, 'cpu', size)
    )
    # Adam asks a GPU whether it records a graph
    for name in ('_accelerator_graph_capture_health_check', '_cuda_graph_capture_health_check'):
        monkeypatch.setattr(torch.optim.Optimizer, name, lambda _: None, raising=False)
    work = dict(kernels=7, device_seconds=1e-9, waits=2)
    monkeypatch.setattr(module, 'device_work', lambda events: dict(work))
    # as a model with this option, but without a compiler
    monkeypatch.setattr(module, 'has_option', lambda config, name: True)
    monkeypatch.setattr(module, 'compiled', lambda config: asked.append(config) or config)
    asked = []
    fits = StepFits.__call__
    monkeypatch.setattr(StepFits, '__call__', lambda *each: each[1] <= 2 and fits(*each))
    return asked


@pytest.mark.slow
def test_what_is_done_on_a_gpu(check, pretended_gpu, monkeypatch):
    monkeypatch.setattr(module, 'PRECISIONS', ('fp32', 'tf32', 'bf16'))
    found = check(device='cuda')
    assert [*found['parity']] == [*found['precisions']] == ['fp32', 'tf32', 'bf16']
    assert found['environment']['versions']['GPU'] == 'Pretended, 80 GiB'
    assert found['environment']['versions']['compute capability'] == '9.0'
    assert found['environment']['free_gib'] == 79
    for figures in found['precisions'].values():
        assert (figures['allocated_gib'], figures['reserved_gib']) == (3, 4)
        assert 0 < figures['device_share'] < 1e-6
    # measured, then compared with the CPU
    assert [each.model.type for each in pretended_gpu] == ['MCLSegmentor'] * 2
    assert found['compiled']['seconds_per_step'] > 0
    assert found['compiled']['parity']['passed'] is True
    assert found['compiled']['precision'] == module.fastest_precision(found)
    assert [each['largest'] for each in found['batch']['searches']] == [2, 2, 2]
    assert found['batch']['precision'] == module.fastest_precision(found)
    assert found['precision'] == 'tf32'
    assert any('waits for Python' in each for each in found['advice'])
    assert found['is_complete']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(device='cuda'), 'PyTorch finds no GPU: install .* check the processor with'),
        (dict(config='configs/mlcl/nothing.py'), 'nothing.py does not exist'),
        (dict(options=['train_cfg=None', 'train_dataloader=None', 'optim_wrapper=None']), 'trains'),
        (dict(options=['stage_before.stage_before.load_from=a']), 'this run has no such stage'),
    ],
)
def test_what_cannot_be_checked(check, arguments, message):
    with pytest.raises(InputError, match=message):
        check(**arguments)


def test_nothing_is_replaced_without_being_asked(check, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'SHARES', dict(environment=1))
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/gpu_check.html').write_text('mine')
    with pytest.raises(InputError, match='gpu_check.html exists already: choose another --out'):
        check()
    assert (tmp_path / 'out/gpu_check.html').read_text() == 'mine'
    check('--overwrite')
    assert (tmp_path / 'out/gpu_check.html').read_text() != 'mine'


@pytest.mark.parametrize('text', ['0', '-1', 'nan', 'inf', 'five'])
def test_minutes_are_a_positive_number(check, text, capsys):
    with pytest.raises(SystemExit):
        check('--minutes', text)
    assert f"'{text}' is not a positive number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'options', 'seconds'),
    [
        ('mlcl/g2ci', {}, 1.134),
        ('mlcl/g2cmi_19', {}, 4.492),
        ('mlcl/g2ci', {'train_dataloader.batch_size': 8}, None),
        ('warmup/g2ci', {}, None),
        ('demo/mlcl', {}, None),
    ],
)
def test_seconds_of_the_released_program(name, options, seconds):
    config = read_config(f'configs/{name}.py', options, 'none')
    assert module.released_seconds(config) == seconds


def test_a_compiled_copy():
    config = read_config('configs/demo/mlcl.py', {}, 'none')
    config.model.recompute_activations = True
    copied = module.compiled(config)
    assert copied.model.compile_backbone == module.COMPILATION
    assert not copied.model.recompute_activations
    assert 'compile_backbone' not in config.model
    copied.model.compile_backbone = dict(mode='max-autotune')
    assert module.compiled(copied).model.compile_backbone == dict(mode='max-autotune')
    assert 'compile_backbone' not in module.comparable(copied).model

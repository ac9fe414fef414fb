"""A mistake in any stage shows before the first one trains, and a rehearsal leaves nothing."""

import copy
import multiprocessing
import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.visualization import DVCLiveVisBackend, MLflowVisBackend, WandbVisBackend
from mmseg.registry import HOOKS

from mlcl_mmseg.engine import stages
from mlcl_mmseg.engine.rehearsal import FOLDER, TRACEBACK, check_in_full, rehearse
from mlcl_mmseg.engine.small_run import first_of
from mlcl_mmseg.engine.stage_files import COMPLETE
from mlcl_mmseg.engine.stages import train_stages
from mlcl_mmseg.engine.visualizer_backends import imports_of
from mlcl_mmseg.errors import InputError

from ..small_run import skip_rehearsal

FORK = multiprocessing.get_context('fork')


@HOOKS.register_module()
class HookThatCannotSave(Hook):
    def before_save_checkpoint(self, runner, checkpoint):
        raise RuntimeError('no\nroom')


def both(toy_config, **options):
    return [
        toy_config('warmup', 2, 2),
        toy_config('mlcl', 2, 2, **{'custom_hooks.0.interval': 2, **options}),
    ]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def test_a_mistake_in_mcl_shows_before_the_warmup(toy_config, tmp_path):
    configs = both(toy_config, **{'optim_wrapper.accumulative_counts': 2})
    message = (
        'The stage MCLSegmentor in .*mlcl fails in its rehearsal: .*accumulative_counts is not'
    )
    with pytest.raises(InputError, match=message):
        train_stages(configs, resume=False)
    assert files(tmp_path) == ['mlcl/.lock', 'warmup/.lock']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'custom_hooks.0.interval': 3}, 'PseudoLabelHook.interval is 3, but a refresh needs'),
        ({'train_cfg.val_begin': 3}, 'train_cfg.val_begin is 3, but train_cfg.max_iters is 2'),
        ({'param_scheduler.end': 0}, 'ValueError: end should be larger than begin'),
    ],
)
def test_a_mistake_in_the_schedule_of_a_later_stage(toy_config, tmp_path, options, message):
    """The rehearsal has a schedule of its own."""
    _, mlcl = both(toy_config, **options)
    Path(mlcl.work_dir).mkdir()
    with pytest.raises(InputError, match=f'The stage MCLSegmentor in .*{message}'):
        check_in_full([mlcl])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'optim_wrapper.optimizer.lr': None}, 'TypeError'),
        ({'optim_wrapper.paramwise_cfg.lr_mult': dict(decode_hed=3)}, 'decode_hed'),
        ({'default_hooks.checkpoint.save_best': 'mIoU/bdd'}, "in Durable.*Hook: KeyError: 'mIoU/b"),
        ({'default_hooks.checkpoint.save_best': ['mIoU', 'aAcc/dusk']}, 'name one figure, such as'),
        (
            {'custom_hooks': [dict(type='HookThatCannotSave')]},
            'Save: RuntimeError: no room: cor',
        ),
        (
            {'visualizer.vis_backends': [dict(type='WandbVisBackend')]},
            'cannot import wandb .*: ins',
        ),
        ({'visualizer.vis_backends': [dict(type='NoBackend')]}, 'NoBackend, which is unknown'),
    ],
)
def test_a_mistake_shows_before_its_stage(toy_config, tmp_path, monkeypatch, options, message):
    monkeypatch.setitem(sys.modules, 'wandb', None)
    monkeypatch.setattr(stages, 'train_stage', lambda config, settings: pytest.fail('trained'))
    with pytest.raises(InputError, match=f'The stage SourceOnly in .*{message}') as error:
        train_stages([toy_config('source_only', 2, 2, **options)], resume=False)
    has_traceback = not isinstance(error.value.__cause__, InputError)
    assert files(tmp_path / 'source_only') == ['.lock', *[TRACEBACK] * has_traceback]
    assert '\n' not in str(error.value)


def test_a_training_is_the_same_with_and_without(toy_config, tmp_path, monkeypatch):
    """To the last bit, and it writes the same files."""

    def outcome(folder):
        configs = both(toy_config)
        for config in configs:
            config.work_dir = str(tmp_path / folder / Path(config.work_dir).name)
            config.experiment_name += folder
        train_stages(configs, resume=False)
        written = [path for path in files(tmp_path / folder) if '/2' not in path]
        return torch.load(tmp_path / folder / 'mlcl/iter_2.pth')['state_dict'], written

    found, written = outcome('with')
    skip_rehearsal(monkeypatch)
    expected, expected_files = outcome('without')
    assert written == expected_files
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_it_leaves_no_file_and_changes_no_config(toy_config, tmp_path):
    """Also not where a config says that checkpoints and pictures go."""
    config = toy_config('source_only', 2, 2)
    config.visualizer.vis_backends.append(dict(type='TensorboardVisBackend'))
    config.default_hooks.checkpoint.out_dir = str(tmp_path / 'elsewhere')
    config.val_evaluator.output_dir = str(tmp_path / 'pictures')
    config.val_dataloader.update(num_workers=2, persistent_workers=True, timeout=60)
    before = copy.deepcopy(config)
    rehearse([config], None)
    assert files(tmp_path) == []
    assert config.to_dict() == before.to_dict()


def rehearse_on(rank, configs, folder):
    torch.set_num_threads(1)
    os.environ['LOCAL_RANK'] = str(rank)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=3
    )
    rehearse(configs, None)
    check_in_full(configs[1:])
    torch.distributed.destroy_process_group()


def test_three_processes(toy_config, tmp_path):
    configs = both(toy_config)
    for config in configs:
        config.launcher = 'pytorch'
    processes = [
        FORK.Process(target=rehearse_on, args=(rank, configs, tmp_path)) for rank in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    # by which the processes find each other
    (tmp_path / 'store').unlink(missing_ok=True)
    assert files(tmp_path) == []


def test_all_data_of_a_later_stage_are_checked(toy_config, toy_data, tmp_path):
    """Also an image that the rehearsal does not read."""
    configs = both(toy_config)
    target = configs[1].train_dataloader.dataset.targets[0]
    (tmp_path / 'images').mkdir()
    for image in Path(target.data_root, 'images').iterdir():
        (tmp_path / 'images' / image.name).write_bytes(image.read_bytes())
    damaged = tmp_path / 'images' / '4.png'
    damaged.write_bytes(b'no image')
    target.data_root = str(tmp_path)
    with pytest.raises(InputError, match=f'{damaged} cannot be read'):
        train_stages(configs, resume=False)
    assert not (tmp_path / 'warmup' / COMPLETE).exists()
    assert not (tmp_path / 'mlcl' / FOLDER).exists()


def test_the_stage_after_one_that_is_resumed(toy_config, tmp_path):
    """It starts from what there is of that one."""
    configs = both(toy_config)
    train_stages(configs[:1], resume=False)
    (tmp_path / 'warmup' / COMPLETE).unlink()
    configs = both(toy_config, **{'optim_wrapper.accumulative_counts': 2})
    with pytest.raises(InputError, match='MCLSegmentor .*accumulative_counts is not supported'):
        train_stages(configs, resume=True)


def test_the_first_images_of_those_that_are_chosen():
    assert [first_of(indices, 2) for indices in (None, 1, 5, -1, -5)] == [2, 1, 2, -1, -2]
    assert first_of([4, 2, 7], 2) == [4, 2]
    assert first_of([4], 2) == [4]


def test_what_a_backend_imports():
    assert imports_of(WandbVisBackend) == ['wandb']
    assert imports_of(MLflowVisBackend) == ['mlflow']
    assert imports_of(DVCLiveVisBackend) == ['pygit2', 'dvclive']

"""Pseudo-labels of a teacher in the step, within real, very small runs."""

from pathlib import Path

import pytest
import torch

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.methods.mcl import MCLSegmentor
from mlcl_mmseg.pseudo_labels.teacher import Teacher

from .recorded_run import clone, run


def interrupt_after(monkeypatch, iteration):
    """Interrupt when the step after so many iterations begins."""
    step = MCLSegmentor.train_step

    def interrupted(model, *args, **kwargs):
        steps.append(1)
        if len(steps) > iteration:
            raise KeyboardInterrupt
        return step(model, *args, **kwargs)

    steps = []
    monkeypatch.setattr(MCLSegmentor, 'train_step', interrupted)


def teacher_config(toy_config, load_from, max_iters=5, **options):
    config = toy_config('teacher', max_iters, 1, load_from=load_from, **options)
    config.custom_hooks[0].interval = 2
    return config


def test_it_is_the_warmup_and_then_the_best(
    toy_config, warmup_checkpoint, falling_scores, monkeypatch
):
    """It labels each target by that target's head, and never moves in between."""
    asked = []
    ask = Teacher.__call__

    def record(teacher, image, target):
        asked.append((target, clone(teacher.network.state_dict())))
        return ask(teacher, image, target)

    monkeypatch.setattr(Teacher, '__call__', record)
    runner, recorder = run(teacher_config(toy_config, warmup_checkpoint))
    assert not Path(runner.work_dir, 'pseudo_labels').exists()
    assert [target for target, _ in asked] == [0, 1, 2] * 5
    best = torch.load(Path(runner.work_dir, 'best_mIoU_iter_1.pth'), weights_only=False)
    for call, (_, state) in enumerate(asked):
        made_by = recorder.weights[0] if call < 6 else best['state_dict']
        assert {name.split('.')[0] for name in state} == {'backbone', 'domain_heads'}
        for name, value in state.items():
            assert torch.equal(value, made_by[name]), (call, name)
    # as with files, the network goes back to the best checkpoint
    for name, value in recorder.weights[2].items():
        assert torch.equal(value, best['state_dict'][name]), name


def test_only_checkpoints_for_resuming_hold_it(toy_config, warmup_checkpoint):
    runner, _ = run(teacher_config(toy_config, warmup_checkpoint, max_iters=1))
    for name, held in (('iter_1.pth', True), ('best_mIoU_iter_1.pth', False)):
        checkpoint = torch.load(Path(runner.work_dir, name), weights_only=False)
        assert ('teacher' in checkpoint) is held
        assert not any('teacher' in key for key in checkpoint['state_dict'])
    assert not any('teacher' in name for name, _ in runner.model.named_parameters())


@pytest.mark.parametrize('iteration', [1, 2, 3])
def test_an_interrupted_run_ends_as_it_would_have(toy_config, warmup_checkpoint, iteration):
    """Before a refresh, at one, and after one."""
    options = {'default_hooks.checkpoint.max_keep_ckpts': -1}
    _, expected = run(teacher_config(toy_config, warmup_checkpoint, **options))
    config = teacher_config(toy_config, warmup_checkpoint, **options)
    for path in Path(config.work_dir).glob('*.pth'):
        path.unlink()
    config.experiment_name += '_killed'
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, iteration)
        with pytest.raises(KeyboardInterrupt):
            run(config)
    config = teacher_config(toy_config, warmup_checkpoint, **options)
    config.load_from = str(Path(config.work_dir, f'iter_{iteration}.pth'))
    config.resume = True
    config.experiment_name += '_resumed'
    _, found = run(config)
    for name, value in expected.weights['end'].items():
        assert torch.equal(found.weights['end'][name], value), name


def test_resuming_without_a_teacher(toy_config, warmup_checkpoint):
    run(teacher_config(toy_config, warmup_checkpoint, max_iters=1))
    config = teacher_config(toy_config, warmup_checkpoint, max_iters=3)
    path = Path(config.work_dir, 'iter_1.pth')
    checkpoint = torch.load(path, weights_only=False)
    del checkpoint['teacher']
    torch.save(checkpoint, path)
    config.load_from, config.resume = str(path), True
    config.experiment_name += '_resumed'
    with pytest.raises(InputError, match=r'has no teacher, .* resume from iter_\*\.pth'):
        run(config)


def test_neither_files_nor_a_teacher(toy_config, warmup_checkpoint):
    config = teacher_config(toy_config, warmup_checkpoint, max_iters=1)
    config.custom_hooks = toy_config('mlcl', 1, 1).custom_hooks
    config.custom_hooks[0].interval = 1
    with pytest.raises(InputError, match='no soft pseudo-labels: add LoadSoftPseudoLabel to'):
        run(config)

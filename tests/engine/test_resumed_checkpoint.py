"""A resumed run takes checked numbers and tensors from a checkpoint, and files from its folder."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.logging import HistoryBuffer

from mlcl_mmseg.engine.resumed_checkpoint import keep_what_is_resumed

CHECKPOINT = dict(
    meta=dict(epoch=0, iter=4, seed=3, dataset_meta=dict(classes=('a', 'b')), config='1/0'),
    message_hub=dict(
        log_scalars={
            'train/loss': dict(
                history=torch.tensor([2.0, 1.0]), count=torch.tensor([1, 1]), max_length=10
            )
        },
        runtime_info=dict(
            best_ckpt='/elsewhere/best_mIoU_iter_2.pth',
            best_score=40.5,
            keep_ckpt_ids=['x/../../home', 2],
            last_ckpt='/elsewhere/iter_2.pth',
            cfg='open("x")',
        ),
        resumed_keys=dict(cfg=True),
    ),
    state_dict=dict(weight=torch.ones(2)),
    optimizer=dict(state={}, param_groups=[]),
    param_schedulers=[dict(last_step=4)],
    ema_state_dict=dict(weight=torch.zeros(2)),
)


@pytest.fixture
def work_dir(tmp_path):
    for name in ('iter_2.pth', 'iter_4.pth', 'iter_6.pth', 'iter_x.pth', 'best_mIoU_iter_2.pth'):
        (tmp_path / name).touch()
    return tmp_path


def kept(work_dir, **changes):
    checkpoint = {**copy.deepcopy(CHECKPOINT), **changes}
    gone, outdated = keep_what_is_resumed(checkpoint, work_dir / 'iter_4.pth', work_dir)
    assert all(path.parent == work_dir for path in outdated)
    return checkpoint, gone


def test_positions_and_figures_are_taken_and_files_are_those_of_the_folder(work_dir):
    checkpoint, gone = kept(work_dir)
    assert checkpoint['meta'] == dict(
        epoch=0, iter=4, seed=3, dataset_meta=dict(classes=('a', 'b'))
    )
    hub = checkpoint['message_hub']
    assert hub['runtime_info'] == dict(
        keep_ckpt_ids=[2, 4],
        best_ckpt=str(work_dir / 'best_mIoU_iter_2.pth'),
        best_score=40.5,
        last_ckpt=str(work_dir / 'iter_4.pth'),
    )
    (loss,) = hub['log_scalars'].values()
    assert isinstance(loss, HistoryBuffer) and loss.data[0].tolist() == [2, 1]
    assert {*hub['resumed_keys']} == {*hub['log_scalars'], *hub['runtime_info']}
    # entries of hooks stay
    assert checkpoint['ema_state_dict'].keys() == {'weight'}
    assert gone == []


def test_a_best_checkpoint_that_is_gone_is_named_and_forgotten(work_dir):
    (work_dir / 'best_mIoU_iter_2.pth').unlink()
    checkpoint, gone = kept(work_dir)
    assert gone == ['best_mIoU_iter_2.pth']
    assert not {'best_ckpt', 'best_score'} & {*checkpoint['message_hub']['runtime_info']}


def test_best_checkpoints_that_were_replaced_are_found(work_dir):
    """A run that is killed between writing a new one and removing the old one leaves both."""
    for name in ('best_mIoU_iter_1.pth', 'best_mIoU_iter_3.pth', 'best_mIoU_day_iter_1.pth'):
        (work_dir / name).touch()
    _, outdated = keep_what_is_resumed(copy.deepcopy(CHECKPOINT), work_dir / 'iter_4.pth', work_dir)
    assert outdated == [work_dir / 'best_mIoU_iter_1.pth']


def runtime_info(**changes):
    hub = copy.deepcopy(CHECKPOINT['message_hub'])
    hub['runtime_info'].update(changes)
    return hub


HISTORY = CHECKPOINT['message_hub']['log_scalars']['train/loss']


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(meta=None), 'meta: Input should be a valid dictionary'),
        (dict(meta=dict(epoch=0)), r'meta\.iter: Field required'),
        (dict(meta=dict(iter=-1)), r'meta\.iter: Input should be greater than or equal to 0'),
        (dict(meta=dict(iter=True)), r'meta\.iter: Input should be a valid integer'),
        (dict(meta=dict(iter='4')), r'meta\.iter: Input should be a valid integer'),
        (dict(meta=dict(iter=4, seed=2**40)), r'meta\.seed: '),
        (dict(message_hub=[]), 'message_hub: Input should be a valid dictionary'),
        (dict(message_hub=runtime_info(best_ckpt='started.json')), 'best_ckpt is .started.json'),
        (dict(message_hub=runtime_info(best_ckpt=3)), 'should be a valid string'),
        (dict(message_hub=runtime_info(best_score='high')), 'should be a valid number'),
        (dict(message_hub=runtime_info(best_score=float('nan'))), 'should be a finite number'),
        (
            dict(message_hub=dict(log_scalars={'x': {**HISTORY, 'count': torch.ones(3)}})),
            r'has \[2\] values and \[3\] counts',
        ),
        (dict(message_hub=dict(log_scalars={'x': 3})), r'log_scalars\.x: '),
        (dict(state_dict=dict(weight='x')), r'state_dict\.weight: '),
        (dict(state_dict={1: torch.ones(1)}), r'state_dict\.1'),
        (dict(meta=dict(iter=10**12)), 'meta.iter is 1000000000000'),
    ],
)
def test_what_has_another_form_is_named(work_dir, changes, message):
    with pytest.raises(ValueError, match=message):
        kept(work_dir, **changes)


TENSORS = [
    torch.ones(2),
    torch.ones(2).bfloat16(),
    torch.ones(2).to_sparse(),
    torch.ones(2, device='meta'),
    torch.ones(2, dtype=torch.complex64),
    torch.ones(2, requires_grad=True),
    torch.ones(2, 3),
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(TENSORS)
    | st.sampled_from(['../../x', '/etc', 'best_x_iter_2.pth', 'iter_2.pth']),
    lambda values: st.lists(values) | st.dictionaries(st.text() | st.integers(), values),
    max_leaves=8,
)
KEYS = [*CHECKPOINT['message_hub']['runtime_info'], 'best_ckpt_mIoU/day', 'best_score_mIoU/day']


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.dictionaries(st.sampled_from([*CHECKPOINT]), VALUES, max_size=2),
    meta=st.dictionaries(st.sampled_from([*CHECKPOINT['meta']]), VALUES, max_size=2),
    info=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
    loss=st.dictionaries(st.sampled_from([*HISTORY]), VALUES),
)
def test_no_content_names_a_file_elsewhere(work_dir, parts, meta, info, loss):
    """Either it is refused, or numbers and files of the work dir are taken."""
    changes = (
        dict(meta={**CHECKPOINT['meta'], **meta}, message_hub=runtime_info(**info), **{}) | parts
    )
    try:
        checkpoint, _ = kept(work_dir, **changes)
    except ValueError:
        return
    assert {*checkpoint['meta']} == {'epoch', 'iter', 'seed', 'dataset_meta'}
    info = checkpoint['message_hub']['runtime_info']
    assert all(type(each) is int for each in info['keep_ckpt_ids'])
    for key, value in info.items():
        if '_ckpt' in key and key != 'keep_ckpt_ids':
            assert str(value).startswith(f'{work_dir}/') and '..' not in value

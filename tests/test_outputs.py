"""Nothing is replaced without being asked, and long jobs end with a list of what failed."""

import errno

import pytest

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.failures import LISTED, is_of_one_file, raise_failures
from mlcl_mmseg.outputs import check_outputs


def test_existing_files(tmp_path):
    new, old, link = (tmp_path / name for name in ('new', 'old', 'link'))
    old.touch()
    link.symlink_to('nowhere')
    check_outputs([new])
    check_outputs([new, old, link], overwrite=True)
    with pytest.raises(InputError, match=r'old exists already: choose another DST, or use --over'):
        check_outputs([new, old], option='DST')
    with pytest.raises(InputError, match='link and 1 more exist already: choose another --out, or'):
        check_outputs([link, old])


def test_inputs_are_never_replaced(tmp_path):
    (tmp_path / 'old').touch()
    (tmp_path / 'link').symlink_to('old')
    for output in ('old', 'link', 'x/../old'):
        (tmp_path / 'x').mkdir(exist_ok=True)
        with pytest.raises(InputError, match=f'{output} is an input and would be overwritten'):
            check_outputs([tmp_path / output], [tmp_path / 'old'], overwrite=True)


def test_the_list_of_failures(capsys):
    raise_failures([], 5, 'images', 'try again')
    errors = [InputError(f'a{number}\n.png is damaged.') for number in range(LISTED + 3)]
    with pytest.raises(InputError, match='23 of 50 images failed, as listed above: try again'):
        raise_failures(errors, 50, 'images', 'try again')
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r'a0\n.png is damaged.'
    assert lines[-1] == 'and 3 more'
    assert len(lines) == LISTED + 1


@pytest.mark.parametrize(('number', 'alone'), [(errno.ENAMETOOLONG, True), (errno.ENOSPC, False)])
def test_which_errors_of_writing_stop_a_job(number, alone):
    error = InputError('x')
    error.__cause__ = OSError(number, 'x')
    assert is_of_one_file(error) == alone
    assert not is_of_one_file(InputError('x'))

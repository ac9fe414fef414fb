"""JSON files of others have the declared form, or end in a sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PositiveInt, StrictInt

from mlcl_mmseg.errors import InputError
from mlcl_mmseg.json_records import parse_record, read_record


class Size(BaseModel):
    width: PositiveInt
    height: StrictInt


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@given(DOCUMENTS | st.fixed_dictionaries(dict(width=DOCUMENTS, height=DOCUMENTS)))
def test_any_document_is_of_the_form_or_a_value_error(document):
    try:
        size = parse_record(json.dumps(document), Size)
    except ValueError as error:
        assert str(error)
    else:
        assert size.width > 0 and type(size.height) is int


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (b'[' * 100000, 'its values are nested too deeply'),
        (b'{"width": NaN, "height": 1}', 'NaN is not a JSON number'),
        (b'{"width": 1e400, "height": 1}', '1e400 is too large'),
        (b'{"width": 0, "height": 1}', 'width: Input should be greater than 0'),
        (b'{"width": 1, "height": true}', 'height: Input should be a valid integer'),
        (b'{"width": 1}', 'height: Field required'),
        (b'[]', 'Input should be a valid dictionary'),
        (b'{"width": ' + b'9' * 5000 + b'}', '99999999999999999999 is too large'),
        (b'\xff\xfe', ''),
        (b'', 'Expecting value'),
    ],
)
def test_a_wrong_document_is_named_with_its_fault(tmp_path, text, message):
    (tmp_path / 'x.json').write_bytes(text)
    with pytest.raises(InputError, match=f'x.json is damaged .*{message}.*: go home.'):
        read_record(tmp_path / 'x.json', Size, 'go home')


def test_names_that_are_not_utf_8_are_read_as_they_were_written(tmp_path):
    (tmp_path / 'x.json').write_text(json.dumps({'stra\udcdfe': 'a\udcff'}))
    assert read_record(tmp_path / 'x.json', dict[str, str]) == {'stra\udcdfe': 'a\udcff'}

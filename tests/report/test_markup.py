import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mlcl_mmseg.report.markup import Markup, inline_image, markup, table, tag


class Reader(HTMLParser):
    """What a browser would make of it: tags, attributes, text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ''
        self.feed(text)
        self.close()

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))

    def handle_data(self, text):
        self.text += text


@given(st.text())
def test_text_and_attributes_stay_what_they_are(text):
    found = Reader(tag('p', text, title=text, class_='a'))
    assert found.tags == [('p', dict(title=text, **{'class': 'a'}))]
    assert found.text == text


def test_elements():
    assert tag('td', 1, None, ['a<', tag('b', 'c')], rowspan=2, class_=None) == (
        '<td rowspan="2">1a&lt;<b>c</b></td>'
    )
    assert tag('line', x1=0, stroke_width=2) == '<line x1="0" stroke-width="2"/>'
    assert markup([Markup('<i>'), '<i>']) == '<i>&lt;i&gt;'


def test_a_table_keeps_cells_that_are_made_already():
    found = table([['', tag('th', 'A', colspan=2)]], [['x', tag('td', 1, class_='c'), 2]])
    assert '<tr><th scope="col"></th><th colspan="2">A</th></tr>' in found
    assert '<tr><th scope="row">x</th><td class="c">1</td><td>2</td></tr>' in found
    assert found.startswith('<div class="scroll"')


def test_images_are_in_the_page():
    indices = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    indices.putpalette([255, 0, 0, 0, 0, 255])
    for image, kind in ((indices, 'png'), (Image.new('RGB', (4, 3), 'red'), 'jpeg')):
        element = inline_image(image, 'a "name"')
        content = re.search(rf'src="data:image/{kind};base64,([^"]*)"', element)[1]
        with Image.open(io.BytesIO(base64.b64decode(content))) as found:
            assert found.size == image.size
            if kind == 'png':
                assert np.array_equal(found.convert('RGB'), image.convert('RGB'))
        assert 'alt="a &quot;name&quot;"' in element

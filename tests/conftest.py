import pytest
import torch
from mmseg.utils import register_all_modules

import mlcl_mmseg  # noqa: F401

register_all_modules()


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)

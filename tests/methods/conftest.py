from ..models.conftest import build_tiny, random_batch  # noqa: F401

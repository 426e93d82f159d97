import pytest
import torch


@pytest.fixture
def random_image():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(14, 12, dtype=torch.float64, generator=generator)


@pytest.fixture
def random_kernels():
    generator = torch.Generator().manual_seed(4)
    return torch.randn(3, 5, 5, dtype=torch.float64, generator=generator)

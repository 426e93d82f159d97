"""Assertions of the shared helpers say what differs."""

import pytest

pytest.register_assert_rewrite("small_runs")

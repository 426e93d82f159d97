"""Networks by name: families, widths, and a last layer that starts at zero."""

import pytest
import torch

from spectral_lib.models.classifiers import (
    PUBLISHED,
    builder,
    classifier,
    parse,
    stacks,
)
from spectral_lib.training.ensemble import initialise

SMALL = ("linear", "mlp 6", "cnn 4", "wrn 4", "shake 4", "pyramid 6")


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_logits_are_zero_before_training_and_weights_move_them(name):
    torch.manual_seed(0)
    network = classifier(name, channels=3, side=8, classes=5).eval()
    x = torch.randn(4, 3, 8, 8)
    assert torch.equal(network(x), torch.zeros(4, 5))
    *_, weight, bias = network.parameters()
    assert weight.shape[0] == bias.shape[0] == 5
    with torch.no_grad():
        weight.fill_(1.0)
    logits = network(x)
    assert logits.std(0).min() > 0  # the images reach the last layer


def test_widths_of_small_networks():
    # Weights and biases by hand: 48 inputs, one hidden layer of 6, 5 classes.
    assert count(classifier("mlp 6", 3, 4, 5)) == 48 * 6 + 6 + 6 * 5 + 5
    assert count(classifier("linear", 3, 4, 5)) == 48 * 5 + 5
    # Three convolutions with bias, two numbers of batch norm a channel, one head.
    convolutions = 27 * 4 + 4 + 36 * 8 + 8 + 72 * 16 + 16
    assert count(classifier("cnn 4", 3, 8, 5)) == (
        convolutions + 2 * (4 + 8 + 16) + 16 * 5 + 5
    )


def test_small_networks_differ_from_published_ones_in_depth():
    for name, (family, width) in PUBLISHED.items():
        with torch.device("meta"):
            small = count(classifier(f"{family} {width}", 3, 32, 10))
            assert small < 0.6 * count(classifier(name, 3, 32, 10))


def test_builder_draws_from_the_seed():
    ensemble = initialise(builder("cnn 4", 1, 8, 10), [1, 1, 2])
    weights = ensemble.flatten()
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ["wrn", "wrn x", "mlp 0", "resnet 8", "wrn_8", ""])
def test_unknown_names_are_refused_before_building(name):
    with pytest.raises(ValueError, match="give linear, wrn_32"):
        builder(name, 1, 8, 10)


def test_parse_and_stacks():
    assert parse("mlp 32") == ("mlp", 32)
    assert parse("shake_shake_96") == ("shake", 96)
    assert [name for name in SMALL if stacks(name)] == ["linear", "mlp 6"]

"""The loop against a plain one written with torch.optim, and what probes may not do."""

from functools import partial

import pytest
import torch
from small_runs import conv, mlp
from torch import nn

from spectral_lib.data.dataset import Dataset
from spectral_lib.models.classifiers import classifier
from spectral_lib.models.resnet import ResNet, ResNetSettings
from spectral_lib.training.checkpoints import Checkpoint
from spectral_lib.training.ensemble import Ensemble, initialise
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.losses import cross_entropy
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings

SEEDS = (1, 2, 7)
RATES = (1e-3, 3e-3, 1e-2)
EPOCHS, BATCH, ROWS = 13, 6, 26  # two rows of each epoch are left out


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    draw = {"generator": generator, "dtype": torch.float64}
    return Dataset(torch.randn(ROWS, 20, **draw), torch.randn(ROWS, 20, **draw))


def dropout_net():
    return nn.Sequential(nn.Linear(20, 9), nn.Dropout(0.5), nn.Linear(9, 20))


def batch_norm():
    return nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Linear(8, 20))


def made(build=mlp, seeds=SEEDS, **how):
    return initialise(build, seeds, dtype=torch.float64, **how)


def plain_loop(build, sets, optimizer, seed, cosine=False, clip=None, augment=None):
    """What anybody would write for one network: its state, and each epoch's loss."""
    torch.manual_seed(seed)
    net = build().double()
    stepper = optimizer(net.parameters())
    order = torch.Generator().manual_seed(seed)
    steps = sum(len(part) // BATCH for part in sets)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(stepper, EPOCHS * steps)
    losses = torch.zeros(EPOCHS)
    for epoch in range(EPOCHS):
        for part in sets:
            for rows in torch.randperm(len(part), generator=order).split(BATCH):
                if len(rows) < BATCH:
                    continue
                x, y = part.batch(rows[None])
                if augment is not None:
                    x, y = augment(x, y, [order])
                stepper.zero_grad()
                loss = nn.functional.mse_loss(net(x[0]), y[0])
                loss.backward()
                losses[epoch] += loss.detach() / steps
                if clip is not None:
                    gradients = [p.grad for p in net.parameters()]
                    norm = torch.nn.utils.get_total_norm(gradients)
                    for gradient in gradients:
                        gradient *= min(1.0, clip / norm)
                stepper.step()
                if cosine:
                    schedule.step()
    return net.state_dict(), losses


def assert_ends_at(run, r, expected):
    """A replica ends where a plain loop does."""
    state, losses = expected
    ours = {**run.ensemble.parameters, **run.ensemble.buffers}
    assert ours.keys() == state.keys()
    for key, value in state.items():
        assert (ours[key][r] - value).abs().max() < 1e-10, key
    torch.testing.assert_close(run.loss[:, r], losses)
    assert not run.ensemble.flatten().requires_grad


OPTIMIZERS = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.01}),
    "nesterov": (
        torch.optim.SGD,
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ),
    "adam": (torch.optim.Adam, {"weight_decay": 0.02}),
    "cosine and clip": (torch.optim.SGD, {"momentum": 0.9}),
}
ADAM = partial(torch.optim.Adam, lr=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    ("build", "stacked"),
    [
        (mlp, True),
        (mlp, False),
        (conv, True),
        (conv, False),
        (lambda: conv("rows"), True),
        (batch_norm, False),
    ],
    ids=["mlp stacked", "mlp", "conv stacked", "conv", "rows", "norm"],
)
def test_ensemble_equals_the_plain_loop(name, build, stacked, data):
    kind, shared = OPTIMIZERS[name]
    ours, plain = {}, {}
    if name == "cosine and clip":
        ours, plain = {"schedule": "cosine", "clip": 0.3}, {"cosine": True, "clip": 0.3}
    how = OptimizerSettings(kind.__name__.lower(), RATES, **shared, **ours)
    run = train(made(build, stacked=stacked), data, TrainSettings(EPOCHS, BATCH, how))
    for r, (seed, rate) in enumerate(zip(SEEDS, RATES, strict=True)):
        stepper = partial(kind, lr=rate, **shared)
        assert_ends_at(run, r, plain_loop(build, [data], stepper, seed, **plain))


@pytest.mark.parametrize("stacked", [True, False])
def test_sets_are_visited_in_turn_and_changed_by_each_replicas_draws(stacked, data):
    def noisy(x, y, generators):
        draws = [torch.rand(x.shape[1:], generator=g) for g in generators]
        return x + torch.stack(draws), y - 2 * torch.stack(draws)

    sets = [data, Dataset(data.inputs[:12], data.targets[:12])]
    how = TrainSettings(EPOCHS, BATCH, augment=noisy)
    run = train(made(stacked=stacked), sets, how)
    for r, seed in enumerate(SEEDS):
        assert_ends_at(run, r, plain_loop(mlp, sets, ADAM, seed, augment=noisy))


def test_dropout_is_seeded_by_the_replica_alone(data):
    def weights(seeds):
        ensemble = made(dropout_net, seeds, stacked=False)
        return train(ensemble, data, TrainSettings(2, BATCH)).ensemble.flatten()

    first = weights((1, 2))
    torch.rand(3)  # whatever was drawn before does not matter
    state = torch.random.get_rng_state()
    assert torch.equal(weights((2, 1)).flip(0), first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_masks_of_dropout_are_not_the_numbers_of_the_initialisation(data):
    """They would be if both streams began at the same seed."""

    class Drawing(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(20))
            self.register_buffer("drawn", torch.zeros(20))

        def forward(self, x):
            if self.training:
                self.drawn.copy_(torch.rand(20))
            return x * self.weight

    start = made(Drawing, (1, 2), stacked=False)
    drawn = train(start, data, TrainSettings(1, ROWS)).ensemble.buffers["drawn"]
    weights = start.parameters["weight"].detach()
    assert (drawn > 0).all()
    assert not torch.isclose(drawn[:, None], weights, atol=1e-6).any()
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize(
    ("build", "stacked"),
    [(mlp, True), (mlp, False), (batch_norm, False), (dropout_net, True)],
)
def test_probes_leave_the_run_bitwise_unchanged(build, stacked, data):
    def noisy(ensemble):
        assert not ensemble.module.training
        torch.rand(3)  # disturbs the global random state on purpose
        output = ensemble.predict(data.inputs)
        return {"energy": output.square().flatten(1).mean(1)}

    probes = {"noisy": Probe(noisy, every(EPOCHS))}
    ensemble, settings = made(build, stacked=stacked), TrainSettings(EPOCHS, BATCH)
    before = torch.random.get_rng_state()
    with_probe = train(ensemble, data, settings, probes)
    assert torch.equal(before, torch.random.get_rng_state())
    without = train(ensemble, data, settings)
    assert torch.equal(with_probe.ensemble.flatten(), without.ensemble.flatten())
    assert torch.equal(with_probe.loss, without.loss)
    for name, buffer in without.ensemble.buffers.items():
        assert torch.equal(buffer, with_probe.ensemble.buffers[name]), name
    assert with_probe.records["noisy"]["energy"].shape == (EPOCHS + 1, len(SEEDS))
    assert ensemble.module.training


@pytest.mark.parametrize("stacked", [True, False])
def test_what_a_probe_draws_depends_on_the_epoch_alone(stacked, data):
    def draw(ensemble):
        return {"number": torch.rand(1).expand(len(ensemble))}

    ensemble = made(stacked=stacked)
    probes = {"draw": Probe(draw, every(4))}
    seen = train(ensemble, data, TrainSettings(4, BATCH), probes).records["draw"]
    numbers = seen["number"]  # [T, R]
    assert (numbers == numbers[:, :1]).all()
    assert len(numbers[:, 0].unique()) == 5


@pytest.mark.parametrize("stacked", [True, False])
def test_divergence_is_dated_and_stays_with_its_replica(stacked, data):
    rates = (1e-3, 12.0, 1e-3)
    ensemble = made(stacked=stacked)
    how = TrainSettings(30, BATCH, OptimizerSettings("sgd", rates))
    run = train(ensemble, data, how)
    assert run.diverged_at[0] == -1
    assert run.diverged_at[2] == -1
    dated = int(run.diverged_at[1])
    assert dated > 1
    assert run.loss[: dated - 1, 1].isfinite().all()
    assert not run.loss[dated - 1, 1].isfinite()
    assert run.loss[:, [0, 2]].isfinite().all()


def test_every_holds_start_and_end():
    assert every(7, 3) == {0, 3, 6, 7}


def test_groups_equal_the_whole_and_are_runs_of_their_own(data, tmp_path, monkeypatch):
    sizes, plain = [], Optimizer.__init__

    def init(self, weights, *rest):
        sizes.append(len(weights))
        plain(self, weights, *rest)

    monkeypatch.setattr(Optimizer, "__init__", init)
    optimizer = OptimizerSettings("adam", (1e-3, 2e-3, 3e-3, 4e-3, 5e-3))
    ensemble = made(mlp, (1, 2, 7, 4, 5))

    def look(found):
        random = torch.rand(1).expand(len(found))
        return {"output": found.predict(data.inputs[:3]), "random": random}

    def run(size, **more):
        how = TrainSettings(3, BATCH, optimizer, replicas_at_once=size)
        return train(ensemble, data, how, {"look": Probe(look, every(3))}, **more)

    whole, parts = run(None), run(2, checkpoint=Checkpoint(tmp_path / "run.pt"))
    assert sizes == [5, 2, 2, 1]
    assert {f"run.{i}.pt" for i in range(3)} == {f.name for f in tmp_path.iterdir()}
    assert whole.ensemble.seeds == parts.ensemble.seeds
    pairs = [(whole.loss, parts.loss)]
    pairs += [(whole.ensemble.flatten(), parts.ensemble.flatten())]
    seen = parts.records["look"]
    pairs += [(v, seen[k]) for k, v in whole.records["look"].values.items()]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-10)
    assert whole.diverged_at.equal(parts.diverged_at)
    run(5), run(9)
    assert sizes[4:] == [5, 5]


def test_a_group_counts_as_an_ensemble_of_its_own():
    how = TrainSettings(1, 2, OptimizerSettings("sgd", (1.0, 2.0)), replicas_at_once=1)
    assert how.portion(slice(1, 2)) == TrainSettings(
        1, 2, OptimizerSettings("sgd", 2.0)
    )


@pytest.mark.parametrize(
    "network", ["cnn 4", "wrn 4", "pyramid 8", "shake 4", "resnet"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_in_all_layers_and_gradients(network, channels):
    """Also behind a single channel of pixels, which can lie in either order."""
    mixed = []

    def watch_images(module, given):
        assert given[0].is_contiguous(memory_format=torch.channels_last)

    def watch(module, _, output):
        if output.ndim == 4:
            assert output.is_contiguous(memory_format=torch.channels_last)
            output.register_hook(lambda g: mixed.append(g.stride(1) != 1))

    def build():
        if network == "resnet":
            return ResNet(ResNetSettings(1, (3, 4), channels))
        return classifier(network, channels, 8, 10)

    g = torch.Generator().manual_seed(0)
    images = torch.randn(40, channels, 8, 8, generator=g, dtype=torch.float64)
    data = Dataset(images, torch.randint(10, (40,), generator=g))
    start, runs = made(build, (1, 2)), []
    sgd = OptimizerSettings("sgd", 0.1, momentum=0.9, weight_decay=5e-4, clip=5.0)
    for last in (False, True):
        how = TrainSettings(2, 20, sgd, cross_entropy, channels_last=last)
        runs.append(train(start, data, how).ensemble)
        start.module.register_forward_pre_hook(watch_images)
        for part in start.module.modules():
            if isinstance(part, nn.Conv2d | nn.BatchNorm2d):
                part.register_forward_hook(watch)
    assert mixed
    assert not any(mixed)
    first, second = runs
    assert (first.flatten() - second.flatten()).abs().max() < 1e-10
    for name, buffer in first.buffers.items():
        assert (buffer - second.buffers[name]).abs().max() < 1e-10, name


def test_channels_last_is_for_images_of_replicas_in_turn():
    images, lines = torch.randn(40, 3, 6, 6), torch.randn(40, 20)
    for build, inputs, words in (
        (lambda: classifier("cnn 4", 3, 6, 10), images.flatten(1), r"\[108\] and each"),
        (mlp, images, r"\[3, 6, 6\] .* passes stacked with"),
    ):
        how = TrainSettings(3, 20, channels_last=True)
        with pytest.raises(ValueError, match=words):
            train(initialise(build, (1, 2)), Dataset(inputs, lines), how)


def test_bars_are_quiet_in_ci_and_builds(data, monkeypatch, capsys):
    def shown(**variables):
        with monkeypatch.context() as patch:
            for name in ("CI", "SPECTRAL_BUILD"):
                patch.delenv(name, raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            start = made(mlp, (1,))
            train(start, data, TrainSettings(1, BATCH), label="a bar")
        return "a bar" in capsys.readouterr().err

    assert shown()
    assert not shown(CI="true")
    assert not shown(SPECTRAL_BUILD="1")


THREE = OptimizerSettings("sgd", (1.0, 1.0, 1.0))
LATE = {"late": Probe(lambda e: {}, frozenset([0, 4]))}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda d: train(made(), d, TrainSettings(1, 99)), "smaller than batch_size"),
        (lambda d: train(made(), [], TrainSettings(1, 2)), "no data"),
        (
            lambda d: train(made(device="meta"), d, TrainSettings(1, 2)),
            "data are on cpu and the ensemble on meta",
        ),
        (
            lambda d: train(Ensemble.of(mlp().double()), d, TrainSettings(1, 2)),
            "evaluation mode",
        ),
        (
            lambda d: train(made(), d, TrainSettings(3, 2), LATE),
            "'late' is due at epoch 4 of 3",
        ),
        (
            lambda d: train(made(mlp, (1, 2)), d, TrainSettings(1, BATCH, THREE)),
            "learning_rate has 3 values for 2 replicas",
        ),
        (lambda d: TrainSettings(-1, 4), "epochs is -1"),
        (lambda d: TrainSettings(1, 0), "batch_size is 0"),
        (lambda d: TrainSettings(1, 2, replicas_at_once=0), "replicas_at_once is 0"),
    ],
)
def test_bad_input_is_told_before_training(call, words, data):
    with pytest.raises(ValueError, match=words):
        call(data)

"""The loop against a plain one written with torch.optim, and what probes may not do."""

import pytest
import torch
from torch import nn

from spectral_lib.data.dataset import Dataset, compose
from spectral_lib.models.conv1d import ConvNet1d, ConvSettings
from spectral_lib.models.mlp import MLP
from spectral_lib.training.ensemble import Ensemble, initialise
from spectral_lib.training.loop import Probe, TrainSettings, every, train
from spectral_lib.training.losses import cross_entropy, mse, nmse, nmse_by_output
from spectral_lib.training.optimizers import Optimizer, OptimizerSettings

SEEDS = (1, 2, 7)
RATES = (1e-3, 3e-3, 1e-2)
EPOCHS, BATCH, ROWS = 13, 6, 26  # two rows of each epoch are left out
STEPS = EPOCHS * (ROWS // BATCH)


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    draw = {"generator": generator, "dtype": torch.float64}
    return Dataset(torch.randn(ROWS, 20, **draw), torch.randn(ROWS, 20, **draw))


def conv(form="direct"):
    return ConvNet1d(ConvSettings(kernel_size=5, layers=3, channels=4), form)


def mlp():
    return MLP([20, 9, 20])


def plain_loop(build, data, optimizer, loss, seed, cosine=False, clip=None):
    """What anybody would write for one network."""
    torch.manual_seed(seed)
    net = build().double()
    stepper = optimizer(net.parameters())
    order = torch.Generator().manual_seed(seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(stepper, STEPS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(ROWS, generator=order).split(BATCH):
            if len(rows) < BATCH:
                continue
            stepper.zero_grad()
            loss(net(data.inputs[rows]), data.targets[rows]).backward()
            if clip is not None:
                norm = torch.nn.utils.get_total_norm([p.grad for p in net.parameters()])
                for p in net.parameters():
                    p.grad *= min(1.0, clip / norm)
            stepper.step()
            if cosine:
                schedule.step()
    return dict(net.named_parameters())


OPTIMIZERS = {
    "sgd": (
        OptimizerSettings("sgd", RATES),
        lambda rate: lambda p: torch.optim.SGD(p, rate),
    ),
    "momentum": (
        OptimizerSettings("sgd", RATES, momentum=0.9, weight_decay=0.01),
        lambda rate: (
            lambda p: torch.optim.SGD(p, rate, momentum=0.9, weight_decay=0.01)
        ),
    ),
    "nesterov": (
        OptimizerSettings("sgd", RATES, momentum=0.8, nesterov=True),
        lambda rate: lambda p: torch.optim.SGD(p, rate, momentum=0.8, nesterov=True),
    ),
    "adam": (
        OptimizerSettings("adam", RATES, weight_decay=0.02),
        lambda rate: lambda p: torch.optim.Adam(p, rate, weight_decay=0.02),
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    ("build", "stacked"),
    [
        (mlp, True),
        (mlp, False),
        (conv, True),
        (conv, False),
        (lambda: conv("fft"), True),
        (lambda: conv("channels_last"), False),
    ],
    ids=["mlp stacked", "mlp", "conv stacked", "conv", "fft stacked", "channels last"],
)
def test_ensemble_equals_the_plain_loop(name, build, stacked, data):
    settings, optimizer = OPTIMIZERS[name]
    ensemble = initialise(build, SEEDS, dtype=torch.float64, stacked=stacked)
    run = train(ensemble, data, TrainSettings(EPOCHS, BATCH, settings))
    for r, (seed, rate) in enumerate(zip(SEEDS, RATES, strict=True)):
        expected = plain_loop(build, data, optimizer(rate), nn.MSELoss(), seed)
        assert_same(run, r, expected)


def assert_same(run, r, expected):
    for key, value in expected.items():
        ours = run.ensemble.parameters[key][r]
        assert (ours - value).abs().max() < 1e-10, key


@pytest.mark.parametrize("stacked", [True, False])
def test_cosine_and_clipping_equal_a_plain_loop(stacked, data):
    clip = 0.3
    shared = {"momentum": 0.9, "weight_decay": 0.0}
    how = OptimizerSettings("sgd", RATES, **shared, schedule="cosine", clip=clip)
    ensemble = initialise(mlp, SEEDS, dtype=torch.float64, stacked=stacked)
    run = train(ensemble, data, TrainSettings(EPOCHS, BATCH, how))
    for r, (seed, rate) in enumerate(zip(SEEDS, RATES, strict=True)):
        expected = plain_loop(
            mlp,
            data,
            lambda p, rate=rate: torch.optim.SGD(p, rate, **shared),
            nn.MSELoss(),
            seed,
            cosine=True,
            clip=clip,
        )
        assert_same(run, r, expected)


def test_clipping_counts_weight_decay_and_keeps_short_gradients():
    weights = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    how = OptimizerSettings("sgd", 1.0, weight_decay=1.0, clip=1.0)
    before = weights.clone()
    Optimizer(weights, how).step(torch.zeros(2, 2))
    steps = before - weights
    assert torch.allclose(steps, torch.tensor([[0.6, 0.8], [0.3, 0.4]]))


def test_dropout_is_seeded_by_the_replica_alone(data):
    def build():
        return nn.Sequential(nn.Linear(20, 9), nn.Dropout(0.5), nn.Linear(9, 20))

    def weights(seeds):
        ensemble = initialise(build, seeds, dtype=torch.float64, stacked=False)
        return train(ensemble, data, TrainSettings(2, BATCH)).ensemble.flatten()

    first = weights((1, 2))
    torch.rand(3)  # whatever was drawn before does not matter
    state = torch.random.get_rng_state()
    assert torch.equal(weights((2, 1)).flip(0), first)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_augmentation_may_change_inputs_and_targets(data):
    def negate(x, y, generators):
        return -x, -y

    how = TrainSettings(3, BATCH, augment=compose(negate, negate))
    once = TrainSettings(3, BATCH, augment=negate)
    ensemble = initialise(mlp, SEEDS, dtype=torch.float64)
    plain = train(ensemble, data, TrainSettings(3, BATCH))
    twice = train(ensemble, data, how)
    mirrored = train(ensemble, Dataset(-data.inputs, -data.targets), once)
    assert torch.equal(plain.loss, twice.loss)
    assert torch.equal(plain.loss, mirrored.loss)
    other = train(ensemble, data, once)
    assert not torch.equal(plain.loss, other.loss)


def test_a_network_of_yours_is_an_ensemble_of_one(data):
    net = nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8)).double()
    net(data.inputs)
    state = {k: v.clone() for k, v in net.state_dict().items()}
    ensemble = Ensemble.of(net)
    seen = ensemble.predict(data.inputs)
    assert net.training
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    with torch.no_grad():
        net[0].weight.zero_()
    assert torch.equal(seen, ensemble.predict(data.inputs))
    net.load_state_dict(state)
    assert torch.allclose(seen[0], net.eval()(data.inputs))


def test_cross_entropy_takes_labels_or_probabilities():
    logits = torch.randn(3, 7, 4, dtype=torch.float64)
    labels = torch.randint(4, (3, 7))
    hard = torch.nn.functional.one_hot(labels, 4).double()
    soft = 0.6 * hard + 0.1
    by_hand = -(soft * logits.log_softmax(-1)).sum(-1).mean(1)
    assert torch.allclose(cross_entropy(logits, soft), by_hand)
    same = cross_entropy(logits, labels), cross_entropy(logits, hard)
    assert torch.allclose(*same)


@pytest.mark.parametrize("stacked", [True, False])
def test_probes_leave_the_run_bitwise_unchanged(stacked, data):
    def noisy(ensemble):
        assert not ensemble.module.training
        torch.rand(3)  # disturbs the global random state on purpose
        output = ensemble.predict(data.inputs)
        return {"energy": output.square().flatten(1).mean(1)}

    probes = {"noisy": Probe(noisy, every(EPOCHS))}
    ensemble = initialise(mlp, SEEDS, dtype=torch.float64, stacked=stacked)
    settings = TrainSettings(EPOCHS, BATCH)
    before = torch.random.get_rng_state()
    with_probe = train(ensemble, data, settings, probes)
    assert torch.equal(before, torch.random.get_rng_state())
    without = train(ensemble, data, settings)
    assert torch.equal(with_probe.ensemble.flatten(), without.ensemble.flatten())
    assert torch.equal(with_probe.loss, without.loss)
    assert with_probe.records["noisy"]["energy"].shape == (EPOCHS + 1, len(SEEDS))
    assert ensemble.module.training


@pytest.mark.parametrize("stacked", [True, False])
def test_what_a_probe_draws_depends_on_the_epoch_alone(stacked, data):
    def draw(ensemble):
        return {"number": torch.rand(1).expand(len(ensemble))}

    ensemble = initialise(mlp, SEEDS, dtype=torch.float64, stacked=stacked)
    probes = {"draw": Probe(draw, every(4))}
    seen = train(ensemble, data, TrainSettings(4, BATCH), probes).records["draw"]
    numbers = seen["number"]  # [T, R]
    assert (numbers == numbers[:, :1]).all()
    assert len(numbers[:, 0].unique()) == 5


def test_batch_norm_statistics_survive_a_probe(data):
    def build():
        return nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Linear(8, 20))

    def look(ensemble):
        return {"first": ensemble.predict(data.inputs[:4])[:, 0, 0]}

    ensemble = initialise(build, SEEDS, dtype=torch.float64, stacked=False)
    settings = TrainSettings(3, BATCH)
    seen = train(ensemble, data, settings, {"look": Probe(look, every(3))})
    alone = train(ensemble, data, settings)
    for name, buffer in alone.ensemble.buffers.items():
        assert torch.equal(buffer, seen.ensemble.buffers[name]), name
    means = alone.ensemble.buffers["1.running_mean"]
    assert (means != ensemble.buffers["1.running_mean"]).any()
    assert not torch.equal(means[0], means[1])


def test_training_does_not_touch_what_it_was_given(data):
    ensemble = initialise(mlp, SEEDS, dtype=torch.float64)
    before = ensemble.flatten()
    run = train(ensemble, data, TrainSettings(2, BATCH))
    assert torch.equal(before, ensemble.flatten())
    assert not torch.equal(before, run.ensemble.flatten())
    assert not run.ensemble.flatten().requires_grad


def test_equal_runs_are_bitwise_equal_and_seeds_differ(data):
    settings = TrainSettings(3, BATCH)
    ensembles = [initialise(mlp, (1, 2, 1), dtype=torch.float64) for _ in range(2)]
    first, second = (train(e, data, settings).ensemble.flatten() for e in ensembles)
    assert torch.equal(first, second)
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("stacked", [True, False])
def test_divergence_is_dated_and_stays_with_its_replica(stacked, data):
    rates = (1e-3, 12.0, 1e-3)
    ensemble = initialise(mlp, SEEDS, dtype=torch.float64, stacked=stacked)
    how = TrainSettings(30, BATCH, OptimizerSettings("sgd", rates))
    run = train(ensemble, data, how)
    assert run.diverged_at[0] == -1
    assert run.diverged_at[2] == -1
    dated = int(run.diverged_at[1])
    assert dated > 1
    assert run.loss[: dated - 1, 1].isfinite().all()
    assert not run.loss[dated - 1, 1].isfinite()
    assert run.loss[:, [0, 2]].isfinite().all()


def test_several_sets_are_visited_in_turn(data):
    half = Dataset(data.inputs[:12], data.targets[:12])
    how = TrainSettings(2, BATCH)
    both = train(initialise(mlp, (1,), dtype=torch.float64), [data, half], how)

    torch.manual_seed(1)
    net = mlp().double()
    stepper = torch.optim.Adam(net.parameters())
    order = torch.Generator().manual_seed(1)
    for _ in range(2):
        for part in (data, half):
            for rows in torch.randperm(len(part), generator=order).split(BATCH):
                if len(rows) == BATCH:
                    stepper.zero_grad()
                    loss = nn.functional.mse_loss(
                        net(part.inputs[rows]), part.targets[rows]
                    )
                    loss.backward()
                    stepper.step()
    expected = torch.cat([p.flatten() for p in net.parameters()])
    assert torch.allclose(both.ensemble.flatten()[0], expected, atol=1e-12)


def test_losses_against_sums_written_out():
    prediction = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    target = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    assert mse(prediction, target).item() == pytest.approx((4 + 9 + 4) / 4)
    assert nmse(prediction, target).item() == pytest.approx(17 / 5)
    assert nmse_by_output(prediction, target).item() == pytest.approx(17 / 30)


def test_every_holds_start_and_end():
    assert every(7, 3) == {0, 3, 6, 7}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda d: train(initialise(mlp, (1,)), d, TrainSettings(1, 99)), "smaller"),
        (lambda d: initialise(mlp, ()), "seeds is empty"),
        (lambda d: Dataset(d.inputs, d.targets[:3]), "as many"),
        (lambda d: train(initialise(mlp, (1,)), [], TrainSettings(1, 2)), "no data"),
        (
            lambda d: train(
                initialise(mlp, (1,), device="meta"), d, TrainSettings(1, 2)
            ),
            "data are on cpu and the ensemble on meta",
        ),
        (
            lambda d: train(Ensemble.of(mlp().double()), d, TrainSettings(1, 2)),
            "evaluation mode",
        ),
        (
            lambda d: train(
                initialise(mlp, (1,), dtype=torch.float64),
                d,
                TrainSettings(3, 2),
                {"late": Probe(lambda e: {}, frozenset([0, 7]))},
            ),
            "'late' is due at epoch 7 of 3",
        ),
        (lambda d: TrainSettings(-1, 4), "epochs"),
        (lambda d: TrainSettings(1, 0), "batch_size"),
        (lambda d: OptimizerSettings("adagrad"), "'sgd' or 'adam'"),
        (lambda d: OptimizerSettings("sgd", -1.0), "learning_rate"),
        (lambda d: OptimizerSettings("adam", momentum=0.9), "Adam has its own"),
        (lambda d: OptimizerSettings("sgd", nesterov=True), "nesterov"),
        (lambda d: OptimizerSettings(schedule="linear"), "'cosine'"),
        (lambda d: OptimizerSettings(clip=0.0), "clip"),
        (
            lambda d: Optimizer(d.inputs, OptimizerSettings(schedule="cosine")),
            "number of steps",
        ),
        (
            lambda d: train(
                initialise(mlp, (1, 2), dtype=torch.float64),
                d,
                TrainSettings(1, BATCH, OptimizerSettings("sgd", (1.0, 1.0, 1.0))),
            ),
            "3 values for 2 replicas",
        ),
        (
            lambda d: train(
                initialise(mlp, (1, 2), dtype=torch.float64, stacked=False),
                d,
                TrainSettings(1, BATCH, OptimizerSettings("sgd", (1.0, 1.0, 1.0))),
            ),
            "3 values for 2 replicas",
        ),
    ],
)
def test_bad_input_is_told_before_training(call, words, data):
    with pytest.raises(ValueError, match=words):
        call(data)

"""Real, very small runs, and what went through their loop."""

from mmengine.hooks import Hook
from mmengine.runner import Runner


class Recorder(Hook):
    """Keeps what went through the loop."""

    priority = 'LOWEST'

    def __init__(self):
        self.batches, self.weights, self.momenta = [], {}, {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.batches.append(data_batch)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.weights[batch_idx] = clone(runner.model.state_dict())
        state = runner.optim_wrapper.state_dict().get('state', {})
        self.momenta[batch_idx] = clone(
            {key: value['momentum_buffer'] for key, value in state.items()}
        )

    def after_train(self, runner):
        self.weights['end'] = clone(runner.model.state_dict())


def clone(tensors):
    return {key: value.clone() for key, value in tensors.items()}


def run(config):
    """Train it: the runner, and what its steps were given."""
    recorder = Recorder()
    runner = Runner.from_cfg(config)
    runner.register_hook(recorder)
    runner.train()
    # frees the workers at once; the garbage collector would wait for them
    runner.train_loop.restart_loader()
    return runner, recorder

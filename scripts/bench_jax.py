"""The MNIST step in JAX, where that is installed: jit, lax.scan over steps, vmap over seeds.

    python scripts/bench_jax.py cpu 5:200 64:20        a line of JSON for each arm and SLOTS:STEPS

The same network, mini-batches of 60 drawn at random, plain SGD; the whole loop is compiled. It
stands alone, so that the Python of another environment can run it. Part of `make bench`.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["JAX_PLATFORMS"] = sys.argv[1]
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

import jax  # type: ignore[import-not-found]
import jax.numpy as jnp  # type: ignore[import-not-found]

ROUNDS, EXAMPLES, WIDTHS = 5, 60_000, (784, 100, 100, 100, 10)
RATE, EPS, BATCH = 1.0, 1e-5, 60


def initial(key: Any) -> list[Any]:
    """W, b (with BN: β) and γ of each layer."""
    keys = jax.random.split(key, len(WIDTHS) - 1)
    shapes = zip(keys, WIDTHS, WIDTHS[1:], strict=False)
    return [(0.1 * jax.random.normal(k, (a, b)), jnp.zeros(b), jnp.ones(b)) for k, a, b in shapes]


def loss(params: list[Any], x: Any, labels: Any, bn: bool) -> Any:
    """Mean cross-entropy of a mini-batch."""
    for weight, bias, gamma in params[:-1]:
        x = x @ weight
        if bn:
            x = (x - x.mean(0)) * jax.lax.rsqrt(x.var(0) + EPS) * gamma
        x = jax.nn.sigmoid(x + bias)
    log_p = jax.nn.log_softmax(x @ params[-1][0] + params[-1][1])
    return -jnp.take_along_axis(log_p, labels[:, None], 1).mean()


def trained(images: Any, labels: Any, steps: int, bn: bool) -> Callable[[Any], Any]:
    """A compiled function that trains a network for each of its keys."""

    def step(params: list[Any], key: Any) -> tuple[Any, Any]:
        chosen = jax.random.randint(key, (BATCH,), 0, EXAMPLES)
        value, grads = jax.value_and_grad(loss)(params, images[chosen], labels[chosen], bn)
        return jax.tree.map(lambda p, g: p - RATE * g, params, grads), value

    def train(key: Any) -> Any:
        return jax.lax.scan(step, initial(key), jax.random.split(key, steps))

    return jax.jit(jax.vmap(train))


def seconds(train: Callable[[Any], Any], keys: Any) -> float:
    """Median seconds of the compiled function."""
    times = []
    jax.block_until_ready(train(keys))
    for _ in range(ROUNDS):
        start = time.perf_counter()
        jax.block_until_ready(train(keys))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure each arm with each number of slots."""
    images = (jax.random.uniform(jax.random.key(0), (EXAMPLES, 784)) > 0.8).astype(jnp.float32)
    labels = jax.random.randint(jax.random.key(1), (EXAMPLES,), 0, 10)
    for arm in ("baseline", "bn"):
        for slots, steps in (map(int, word.split(":")) for word in sys.argv[2:]):
            train = trained(images, labels, steps, arm == "bn")
            us = seconds(train, jax.random.split(jax.random.key(2), slots)) / steps / slots * 1e6
            row = {"arm": arm, "slots": slots, "trainer": "JAX", "us": round(us, 1)}
            print(json.dumps(row | {"version": jax.__version__}), flush=True)


if __name__ == "__main__":
    main()

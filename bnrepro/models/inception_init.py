"""The initial weights of the Inception network, by the rule that the config names."""

import torch
from torch import nn

from bnrepro.models.inception import Inception, InceptionSpec
from bnrepro.seeding import stream

CAFFE_BIAS = 0.2  # of Caffe's GoogLeNet of the time, in convolutions without BN


def initialise(network: Inception, seed: int) -> None:
    """Draw the initial weights, keyed by seed and layer name: the same in every arm.

    The paper does not say how Inception was initialised. Weights are Gaussian with mean 0; biases
    and β start at 0 (Caffe's convolutions: at 0.2), γ at 1. `initial_variance` has the rules.
    """
    spec = network.spec
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                values = torch.randn(module.weight.shape, generator=stream(seed, "init", name))
                module.weight.copy_(values * initial_variance(spec, module) ** 0.5)
                if module.bias is not None:
                    caffe = spec.init == "caffe" and isinstance(module, nn.Conv2d)
                    module.bias.fill_(CAFFE_BIAS if caffe else 0.0)


def initial_variance(spec: InceptionSpec, module: nn.Conv2d | nn.Linear) -> float:
    """The variance of a layer's initial weights.

    he        2/fan-in ahead of a nonlinearity (He et al. 2015, days before the paper), 1/fan-in for
              the classifier
    glorot    2/(fan-in + fan-out) (Glorot & Bengio 2010)
    caffe     1/fan-in, Caffe's reading of Glorot's rule, as its GoogLeNet had it
    gaussian  `init_std`², the same for all layers

    In convolutions times `init_gain`².
    """
    weight, convolves = module.weight, isinstance(module, nn.Conv2d)
    fan_in, fan_out = weight[0].numel(), weight.numel() // weight.shape[1]
    if spec.init == "gaussian":
        variance = spec.init_std**2
    elif spec.init == "glorot":
        variance = 2 / (fan_in + fan_out)
    else:
        variance = (2.0 if spec.init == "he" and convolves else 1.0) / fan_in
    return spec.init_gain**2 * variance if convolves else variance

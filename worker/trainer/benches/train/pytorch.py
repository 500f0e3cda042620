#!/usr/bin/env python3
"""PyTorch as the peer of the trainer's benchmark (train.rs): trains one of its networks in one of several ways.

Started with a row as JSON, {"network", "variant", "layout", "threads", "k", "device"}. Says {"ready": true} or {"error": …}
on standard output; then, for each line "go SECONDS" on standard input, trains for about so long and says {"rate", "memory"}:
model-epochs a second and peak memory in bytes. Ends with its input.

An epoch is what the trainer's is: ten steps of Adam on 1,000 pairs in batches of 100, then losses and errors of the 1,000
training and 1,000 test pairs. All tensors are on the device before the clock starts, nothing is fetched before an epoch is
over, and evaluation runs in inference mode in batches of 200 to 1,000 pairs, whichever was faster for the network.
"""

import json
import resource
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

PAIRS, BATCH = 1000, 100


def sub_network(name):
    family, width = name.rsplit("-", 1)
    width = int(width)
    if family == "perceptron":
        return nn.Sequential(nn.Flatten(), nn.Linear(196, width), nn.ReLU(), nn.Linear(width, 10))
    return nn.Sequential(
        nn.Conv2d(1, width, 3),
        nn.ReLU(),
        nn.Conv2d(width, width, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(25 * width, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, 10),
    )


class Network(nn.Module):
    """Two sub-networks with weights of their own, joined by softmax."""

    def __init__(self, name):
        super().__init__()
        self.first, self.second = sub_network(name), sub_network(name)
        self.head = nn.Linear(20, 2)

    def forward(self, first, second):
        return self.head(torch.cat([self.first(first).softmax(1), self.second(second).softmax(1)], 1))


def data(device, layout):
    def images():
        tensor = torch.randn(PAIRS, 1, 14, 14, device=device)
        return tensor.contiguous(memory_format=torch.channels_last) if layout == "channels-last" else tensor

    def split():
        return images(), images(), torch.randint(0, 2, (PAIRS,), device=device)

    return split(), split()


class Eager:
    """One network, as a person would write it: also compiled, or as a graph of CUDA."""

    def __init__(self, row):
        self.device = row["device"]
        self.train, self.test = data(self.device, row["layout"])
        network = Network(row["network"]).to(self.device)
        if row["layout"] == "channels-last":
            network = network.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        if row["variant"] == "compiled":
            network = torch.compile(network, dynamic=False)
        self.network, self.models = network, 1
        self.evaluated = 200 if row["network"].startswith("conv") and self.device == "cpu" else 1000

    def epoch(self):
        order = torch.randperm(PAIRS, device=self.device)
        first, second, answers = (tensor.index_select(0, order) for tensor in self.train)
        for at in range(0, PAIRS, BATCH):
            some = slice(at, at + BATCH)
            loss = F.cross_entropy(self.network(first[some], second[some]), answers[some])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        sums = []
        with torch.inference_mode():
            for first, second, answers in (self.train, self.test):
                for at in range(0, PAIRS, self.evaluated):
                    some = slice(at, at + self.evaluated)
                    scores = self.network(first[some], second[some])
                    sums.append(F.cross_entropy(scores, answers[some], reduction="sum"))
                    sums.append((scores.argmax(1) != answers[some]).sum())
        return torch.stack([value.double() for value in sums]).tolist()


class Stacked:
    """K networks as one, by hand: batched products and grouped convolutions, one fused Adam over all."""

    def __init__(self, row):
        self.device, self.models, self.name = row["device"], row["k"], row["network"]
        self.train, self.test = data(self.device, row["layout"])
        networks = [Network(self.name) for _ in range(self.models)]
        names = [name for name, _ in networks[0].named_parameters()]
        states = [dict(network.named_parameters()) for network in networks]
        self.parameters = {
            name: torch.stack([state[name].detach() for state in states]).to(self.device).requires_grad_()
            for name in names
        }
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=1e-3, fused=True)
        self.step = torch.compile(self.forward, dynamic=False) if row["variant"] == "stacked, compiled" else self.forward
        self.evaluated = 200 if self.name.startswith("conv") else 1000

    def linear(self, x, name):
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))

    def convolution(self, x, name):
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return F.conv2d(x, weight.flatten(0, 1), bias.flatten(), groups=self.models)

    def sub_network(self, x, name):
        if self.name.startswith("perceptron"):
            return self.linear(self.linear(x.flatten(2), f"{name}.1").relu(), f"{name}.3")
        k, n = x.shape[:2]
        x = x.transpose(0, 1).flatten(1, 2)
        x = self.convolution(self.convolution(x, f"{name}.0").relu(), f"{name}.2").relu()
        x = F.max_pool2d(x, 2).view(n, k, -1).transpose(0, 1)
        return self.linear(self.linear(self.linear(x, f"{name}.6").relu(), f"{name}.8").relu(), f"{name}.10")

    def forward(self, first, second):
        parts = [self.sub_network(first, "first").softmax(2), self.sub_network(second, "second").softmax(2)]
        return self.linear(torch.cat(parts, 2), "head")

    def epoch(self):
        k = self.models
        orders = torch.stack([torch.randperm(PAIRS, device=self.device) for _ in range(k)])
        for at in range(0, PAIRS, BATCH):
            rows = orders[:, at : at + BATCH].reshape(-1)
            first, second, answers = (tensor.index_select(0, rows) for tensor in self.train)
            first, second = first.view(k, BATCH, 1, 14, 14), second.view(k, BATCH, 1, 14, 14)
            loss = F.cross_entropy(self.step(first, second).flatten(0, 1), answers, reduction="sum") / BATCH
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        sums = []
        with torch.inference_mode():
            for first, second, answers in (self.train, self.test):
                for at in range(0, PAIRS, self.evaluated):
                    some = slice(at, at + self.evaluated)
                    first_of_all = first[some].expand(k, -1, -1, -1, -1)
                    scores = self.forward(first_of_all, second[some].expand(k, -1, -1, -1, -1))
                    answers_of_all = answers[some].expand(k, -1)
                    losses = F.cross_entropy(scores.transpose(1, 2), answers_of_all, reduction="none")
                    sums += [losses.sum(1), (scores.argmax(2) != answers_of_all).sum(1)]
        return torch.stack([value.double() for value in sums]).tolist()


class Functional(Eager):
    """K networks as one by torch.func."""

    def __init__(self, row):
        self.device, self.models = row["device"], row["k"]
        self.train, self.test = data(self.device, row["layout"])
        networks = [Network(row["network"]).to(self.device) for _ in range(self.models)]
        parameters, _ = torch.func.stack_module_state(networks)
        skeleton = networks[0]
        call = lambda parameters, first, second: torch.func.functional_call(skeleton, parameters, (first, second))
        self.parameters = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        self.each = torch.vmap(call, in_dims=(0, 0, 0))
        self.same = torch.vmap(call, in_dims=(0, None, None))
        self.optimizer = torch.optim.Adam(self.parameters.values(), lr=1e-3, fused=True)
        self.evaluated = 200 if row["network"].startswith("conv") else 1000

    def epoch(self):
        k = self.models
        orders = torch.stack([torch.randperm(PAIRS, device=self.device) for _ in range(k)])
        for at in range(0, PAIRS, BATCH):
            rows = orders[:, at : at + BATCH].reshape(-1)
            first, second, answers = (tensor.index_select(0, rows) for tensor in self.train)
            first, second = first.view(k, BATCH, 1, 14, 14), second.view(k, BATCH, 1, 14, 14)
            scores = self.each(self.parameters, first, second)
            loss = F.cross_entropy(scores.flatten(0, 1), answers, reduction="sum") / BATCH
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        sums = []
        with torch.no_grad():
            for first, second, answers in (self.train, self.test):
                for at in range(0, PAIRS, self.evaluated):
                    some = slice(at, at + self.evaluated)
                    scores = self.same(self.parameters, first[some], second[some])
                    answers_of_all = answers[some].expand(k, -1)
                    losses = F.cross_entropy(scores.transpose(1, 2), answers_of_all, reduction="none")
                    sums += [losses.sum(1), (scores.argmax(2) != answers_of_all).sum(1)]
        return torch.stack([value.double() for value in sums]).tolist()


VARIANTS = {
    "eager": Eager,
    "compiled": Eager,
    "stacked": Stacked,
    "stacked, compiled": Stacked,
    "torch.func": Functional,
}


def say(**message):
    print(json.dumps(message), flush=True)


def main():
    row = json.loads(sys.argv[1])
    torch.set_num_threads(row["threads"])
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    if row["device"] != "cpu":
        torch.cuda.init()
    try:
        model = VARIANTS[row["variant"]](row)
        for _ in range(2):
            model.epoch()
    except Exception as error:  # whatever a compiler may raise
        say(error=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:300])
        return
    say(ready=True)
    for line in sys.stdin:
        seconds = float(line.split()[1])
        start, epochs = time.perf_counter(), 0
        while True:
            model.epoch()
            epochs += 1
            took = time.perf_counter() - start
            if took >= seconds:
                break
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if row["device"] != "cpu":
            memory = torch.cuda.max_memory_allocated()
        say(rate=epochs * model.models / took, memory=memory)


if __name__ == "__main__":
    main()

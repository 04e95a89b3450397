"""make_torch.py OUT: checkpoints as torch.save writes them, zip and legacy, and TorchScript."""
import collections
import sys
from pathlib import Path

import torch

out = Path(sys.argv[1])
torch.manual_seed(5)
network = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.LayerNorm(32), torch.nn.Linear(32, 4))
optimizer = torch.optim.Adam(network.parameters())
network(torch.rand(3, 16)).sum().backward()
optimizer.step()
values = {
    "state_dict": network.state_dict(),
    "checkpoint": {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "loss": 0.25, "args": {"lr": 1e-3}},
    "tensor": torch.rand(10, 10), "parameter": torch.nn.Parameter(torch.rand(4)), "sparse": torch.eye(4).to_sparse(),
    "types": {str(kind): torch.zeros(4, dtype=kind) for kind in (
        torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.int64, torch.bool, torch.complex64)},
    "quantized": torch.quantize_per_tensor(torch.rand(4, 4), 0.1, 0, torch.qint8),
    "nested": collections.OrderedDict(a=[torch.ones(1), (torch.zeros(2), None)], size=torch.Size([1, 2]), device=torch.device("cpu"),
                                      dtype=torch.float32),
    "views": {"base": (base := torch.rand(8, 8)), "row": base[2], "column": base[:, 1]},
}
for name, value in values.items():
    torch.save(value, out / f"{name}.pt")
    torch.save(value, out / f"{name}.legacy.bin", _use_new_zipfile_serialization=False)
torch.save(network, out / "module.pt")
torch.save(network.state_dict(), out / "protocol4.pt", pickle_protocol=4)

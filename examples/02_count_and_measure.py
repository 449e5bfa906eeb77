"""A published network in three sizes: parameters, multiply-adds, and the latency of its exported file here."""

from nasfit import build, count, measure, open_device, published, to_tflite

networks = {f"mnasnet-a1 x{width:g}": published("mnasnet-a1", width) for width in (0.35, 0.5, 1.0)}
files = {name: to_tflite(build(network), (3, 224, 224)) for name, network in networks.items()}
for name, latency in measure(open_device("local"), files).items():
    counts = count(networks[name])
    size = f"{counts.parameters:>12,} parameters {counts.madds / 1e6:>8.2f} M multiply-adds"
    print(f"{name:<18}{size}   {latency.latency_ms:.2f} ms")

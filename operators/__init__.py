"""What grym computes: pure Python, numpy and torch, no device, broker, store or dataflow."""

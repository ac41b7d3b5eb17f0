"""What every published figure comes from: ratios measured in one run, as tables and JSON."""

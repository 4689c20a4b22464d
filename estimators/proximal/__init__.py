"""Proximal inference: a hidden confounder seen through proxies of the treatment and of the outcome."""

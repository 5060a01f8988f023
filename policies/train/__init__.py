"""Learners: what needs torch and Stable-Baselines3. What they learn is served by :mod:`policies.serve`."""

"""Rules, planners, bandits and learners; rollouts; artifacts to and from bytes."""

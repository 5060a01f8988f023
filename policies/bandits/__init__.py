"""Who gets which coupon: rules, contextual bandits and a planner that looks past the coming period."""

"""Gymnasium skins over the simulator; no ladder, feature, reward or transition of their own."""

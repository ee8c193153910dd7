"""The domain's words as frozen classes. Imports nothing of ours."""

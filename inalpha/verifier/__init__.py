"""The judge of a log: reads the bytes that were signed and computes everything else anew.

It imports nothing of the rest of this project, which wrote the log, only the format. Two doors lead to it:
export.py for a file that was exported and bundle.py for the proof of one fill. build.py makes one file of the
modules, the verify.py of exports and releases.
"""

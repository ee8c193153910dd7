"""The judge of a log: reads the bytes that were signed and computes everything else anew.

It imports nothing of the rest of this project, which wrote the log, only the format. Two doors lead to it:
export.py for a file that was exported, with bundle.py for the proof of one fill, and home.py for a ledger where it
lies. build.py makes one file of the modules behind the first door, the verify.py of exports and releases.
"""

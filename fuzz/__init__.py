"""Damaged input for every door through which something from outside comes in: `make fuzz`.

Each input follows from the name of its door, a seed and its number. A door may read it or refuse it in one line;
anything else is a failure: another exception, several lines, too much time or memory.
"""

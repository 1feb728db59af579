"""Base: what all other wings use. Knows nothing of pictures and networks.

errors.py    UserError: bad input, shown as one line; all else is a bug with its traceback
files.py     files that are written whole or not at all
partials.py  what is being written, and what dead processes left of it
recipes.py   YAML files of settings, by path or by name
options.py   types of flags that all settings share
terminal.py  text of strangers, without what commands a terminal
commands.py  what all commands share: exit codes, JSON and log lines
devices.py   CUDA, MPS or CPU, and what it is called in a record
versions.py  versions of installed packages
memory.py    how much memory there is, and how much a gradient needs
cgroups.py   free main memory and cores, within the limits of control groups
boxes.py     what is laid out in rows and columns, read and computed part by part
pipeline.py  a bounded pipeline of threads
archives.py  archives of PyTorch, looked at before they are read
progress.py  one progress bar for all
"""

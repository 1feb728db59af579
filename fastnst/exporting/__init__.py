"""Exporting: a style as a file that runs without fastnst, and the proof of it.

formats.py   the formats, their precisions and packages, and where their files go
writers.py   one style of a network as a graph, and the graph as a file of each format
export.py    export: writes a file, compares it with the network, then gives it its name
predicted.py a predictor and its network as two files
proof.py     the comparison of a file with the network
tiled.py     a network for programs that stylize large photos in tiles, such as the page in the browser
settings.py  the settings of `fastnst export`
commands.py  `fastnst export`
"""

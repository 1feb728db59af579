"""Video: pictures in time. Knows nothing of networks: what paints a picture is handed in.

formats.py  suffixes of videos, and the containers that are written
reader.py   VideoReader: pictures as tensors with their times; all else stays packets
writer.py   VideoWriter: pictures, and another video's sound and subtitles, into a file
paint.py    paint_video: reads, paints and writes side by side
flow.py     motion between pictures, and the warping error
steady.py   less flicker along the optical flow
frames.py   the iterates of an optimisation, as a folder of pictures or a video
"""

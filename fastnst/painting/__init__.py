"""Painting: photos, folders, animations, videos and the camera in a trained style or like any painting.

Knows nothing of losses and training.

    stylizer.py   Stylizer: a style or a painting, ready to paint images
    passes.py     what paints a photo as a whole or in tiles: a trained network, or like paintings
    regions.py    several styles, each where its mask is white
    tiles.py      pictures of any size, box by box
    jobs.py       the photos that `fastnst apply` gets, and where each result goes
    apply.py      the work of `fastnst apply`: plan, paint, tell
    studio.py     paints files: reading, painting and writing side by side
    exported.py   photos by exported files, without torch
    watch.py      folders into which photos come
    collection.py millions of photos, on a cluster
    raw.py        raw frames from standard input to standard output
    animation.py  GIF, WebP, APNG and AVIF, frame by frame
    texture.py    textures: noise painted like a painting
    live.py       what a camera sees, in a window
    styles.py     `fastnst styles` and `fastnst info`
    settings.py   the settings of `fastnst apply` and `fastnst texture`
    commands.py   `fastnst apply`, `texture`, `styles`, `info`
"""

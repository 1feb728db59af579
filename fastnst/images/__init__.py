"""Images: from files to tensors `(B, 3, H, W)`, sRGB in [0, 1], and back. Knows nothing of networks.

No wing above knows of 255, EXIF, ICC profiles, opacity or 16 bit.

    formats.py         suffixes, and what each format can hold
    photos.py          photos in folders, and the sample photos by name
    picture.py         Picture: an image and what its file said beside the pixels
    read.py            load_image, read_picture: a file to a tensor
    write.py           save_image, save_picture: a tensor to a file
    marks.py           the mark of a stylized file in its metadata
    levels.py          whole numbers of 8 or 16 bit to [0, 1], and back
    types.py           images of Pillow, NumPy and PyTorch to tensors, and back
    colors.py          lightness, and the colours of one image for another
    masks.py           masks: where a photo is stylized
    sheet.py           labelled contact sheets
    decoders.py        additions to Pillow: HEIC, limits, palettes
    deep_color.py      PNG and TIFF files of 16 bit
    color_profiles.py  ICC profiles to sRGB
    metadata.py        EXIF, dots per inch, quality of a JPEG file
"""

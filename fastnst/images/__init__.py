"""Images: from files to tensors `(B, 3, H, W)`, sRGB in [0, 1], and back. Knows nothing of networks.

No wing above knows of 255, EXIF, ICC profiles, opacity or 16 bit.

    formats.py    suffixes, and what each format can hold
    photos.py     photos in folders, and the sample photos by name
    decode.py     files opened by libvips or Pillow, and their errors in one line
    stored.py     pixels computed strip by strip, kept in memory or in a temporary file
    srgb.py       pixels of every kind as RGB or RGBA, sRGB, 8 or 16 bit
    metadata.py   marks of stylized files, the quality of a JPEG file, EXIF and IPTC of TIFF files
    picture.py    Picture: an image and what its file said beside the pixels
    read.py       load_image, read_picture: a file to a tensor
    write.py      save_image: a tensor or a picture to a file
    levels.py     whole numbers of 8 or 16 bit to [0, 1], and back
    types.py      images of Pillow, NumPy and PyTorch to tensors, and back
    colors.py     lightness, and the colours of one image for another
    opacity.py    hidden pixels, filled from visible ones
    masks.py      masks: where a photo is stylized
    sheet.py      labelled contact sheets
"""

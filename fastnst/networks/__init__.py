"""Networks: the transformation network, its style file, and its runtimes.

Knows nothing of losses and training.

    network.py           TransformationNetwork; imports torch alone
    presets.py           the sizes `small`, `live` and `johnson`, by name
    style_file.py        StyleFile, load_style, save_style
    description.py       the description in a file's header, checked field by field
    catalog.py           style files by name, their headers, and mixes of styles
    runtime.py           the runtimes of a network: torch or OpenVINO
    exported.py          runs an exported file: ONNX, torch.export, TorchScript, OpenVINO
    exported_formats.py  their suffixes, and what each needs installed
"""

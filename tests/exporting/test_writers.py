import copy
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from fastnst.exporting.export import export_file
from fastnst.exporting.formats import FORMATS
from fastnst.exporting.proof import LOWEST_PSNR, PROOFS
from fastnst.exporting.writers import EXAMPLE, Graph
from fastnst.networks.exported import load_exported
from fastnst.networks.network import TransformationNetwork

COMBINATIONS = [(format, precision) for format, kind in FORMATS.items() for precision in kind.precisions]


@pytest.fixture(scope="module")
def half() -> tuple[TransformationNetwork, Graph]:
    """A network with layers at full resolution, as the preset `johnson` has, and its graph in float16."""
    torch.manual_seed(0)
    network = TransformationNetwork(full=4, half=4, quarter=4, num_blocks=1).eval()
    return network, Graph(network, torch.ones(1, 1), half=True)


def test_the_sizes_of_the_proof_are_five_and_none_of_them_the_examples() -> None:
    assert len(set(PROOFS)) == 5
    assert not {size[1:] for size in PROOFS} & {EXAMPLE[2:]}
    assert any(batch > 1 for batch, _, _ in PROOFS)
    assert any(height % 2 and width % 2 and height != width for _, height, width in PROOFS)


@pytest.mark.parametrize(("format", "precision"), COMBINATIONS)
def test_every_format_paints_what_the_network_paints(format, precision, dusk, half, tmp_path) -> None:
    for package in FORMATS[format].packages:
        pytest.importorskip(package)
    file, mix, graph = dusk
    network = partial(file.network, style=mix)
    if precision == "float16" and format != "openvino":
        network, graph = half
    target = tmp_path / f"dusk{FORMATS[format].suffix}"
    proof = export_file(graph, network, target, format=format, description={"name": "dusk", "precision": precision})
    assert [tuple(size["size"]) for size in proof] == list(PROOFS)
    if precision == "float32":
        assert max(size["largest_difference"] for size in proof) < 1e-4
    else:  # changed, but not too much
        assert LOWEST_PSNR[precision] < min(size["psnr"] for size in proof) < 100
    card = torch.tensor([1.0, 0.2, 0.0])[:, None, None].expand(2, 3, 40, 50)
    assert_close(load_exported(target)(card), card, rtol=0, atol=1e-6)  # of one colour: no pattern of rounding errors
    parts = {target.name} | ({"dusk.bin"} if format == "openvino" else set())
    assert {path.name for path in tmp_path.iterdir()} == parts


def test_an_onnx_graph_has_free_sizes_and_one_operation_a_norm(dusk) -> None:
    pytest.importorskip("onnxscript")
    graph = dusk[2].onnx.graph
    for value, name in ((graph.input, "image"), (graph.output, "stylized")):
        (value,) = value
        assert value.name == name
        sizes = [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        assert sizes == ["batch", 3, "height", "width"]
    operations = [node.op_type for node in graph.node]
    assert not {"Einsum", "Gather"} & set(operations)  # OpenVINO gets a Gather before a convolution wrong
    assert operations.count("InstanceNormalization") == 8


def test_a_recorded_graph_computes_nothing_from_weights_alone(dusk) -> None:
    program = dusk[2].program
    weights = {node.name for node in program.graph.nodes if node.name.startswith(("p_", "b_", "c_"))}
    assert len(weights) == 8 * 3 + 1 + 2 + 4  # kernels, scale and shift of each norm's layer; skip; painter; smoothings
    for node in program.graph.nodes:
        inputs = {each.name for each in node.all_input_nodes}
        assert not inputs or not inputs <= weights, node


def test_norms_stay_float32_in_a_float16_onnx_graph(half) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    graph = onnx.shape_inference.infer_shapes(half[1].onnx).graph
    types = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    for node in graph.node:
        if node.op_type in ("Conv", "InstanceNormalization"):
            expected = onnx.TensorProto.FLOAT16 if node.op_type == "Conv" else onnx.TensorProto.FLOAT
            assert types[node.output[0]] == expected


def test_a_graph_names_no_folder_of_the_machine_that_made_it(exported) -> None:
    for format in ("onnx", "pt2", "openvino"):  # TorchScript keeps its traces compressed, and its own
        assert b"site-packages" not in exported[format].read_bytes(), format


def test_the_network_is_not_changed_by_its_export(dusk) -> None:
    network, mix = copy.deepcopy(dusk[0].network), dusk[1]
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    baked = Graph(network, mix).module
    photo = torch.rand(1, 3, 20, 30)
    assert_close(baked(photo), network(photo, mix))
    assert network.num_styles == 2
    assert_close(network.state_dict(), weights)

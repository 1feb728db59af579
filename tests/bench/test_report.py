import json

import pytest
import torch
from rich.table import Table

from fastnst.base.devices import measured_on
from fastnst.base.errors import UserError
from fastnst.bench.report import check_output, report


def test_a_result_is_one_json_object_or_what_is_shown_of_it_and_a_file_that_is_kept(tmp_path, capsys) -> None:
    file, table = tmp_path / "new" / "result.json", Table("speed", box=None)
    table.add_row("fast")
    check_output(file)
    report({"speed": 3}, table, "and one line", output=file, as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(file.read_text()) == {"speed": 3}
    report({"speed": 3}, table, "and one line", output=None, as_json=False)
    assert capsys.readouterr().out.split() == ["speed", "fast", "and", "one", "line"]
    check_output(None)
    with pytest.raises(UserError, match="exists: choose another"):
        check_output(file)


def test_a_record_says_on_what_it_was_made() -> None:
    conditions = measured_on(torch.device("cpu"), "pillow", "not-installed")
    assert conditions["versions"].pop("not-installed") is None
    assert conditions["hardware"].startswith("cpu (") and conditions["versions"].keys() == {
        "fastnst",
        "torch",
        "pillow",
    }

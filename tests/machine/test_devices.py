"""What the processor computes by itself."""

import pytest

from pvbench.machine.devices import computes_bfloat16

INTEL = "processor\t: 0\nflags\t\t: fpu avx2 avx512f {}\nbugs\t\t: none\n"


@pytest.mark.parametrize("flag", ["avx512_bf16", "amx_bf16"])
def test_a_processor_with_the_instructions_computes_bfloat16(tmp_path, flag):
    (tmp_path / "cpuinfo").write_text(INTEL.format(flag))
    assert computes_bfloat16(tmp_path / "cpuinfo")


def test_an_arm_processor_lists_them_as_features(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd i8mm bf16 dgh\n")
    assert computes_bfloat16(tmp_path / "cpuinfo")


@pytest.mark.parametrize("text", [INTEL.format("avx512_vnni"), "model name\t: a processor of avx512_bf16\n", ""])
def test_one_without_them_does_not(tmp_path, text):
    (tmp_path / "cpuinfo").write_text(text)
    assert not computes_bfloat16(tmp_path / "cpuinfo")


def test_where_nothing_says_so_it_does_not(tmp_path):
    assert not computes_bfloat16(tmp_path / "nothing")

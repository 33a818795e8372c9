"""Files of weights: what is read back, and what is refused in one line."""

import json
import pickle
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdiff.interop import tensors


def test_arrays_come_back_in_their_types(tmp_path):
    path = tmp_path / "folder" / "a.safetensors"
    arrays = {
        "kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "half": np.float16([1, 2]),
        "brain": np.array([1, 2], jnp.bfloat16),
        "count": np.int64(3),
    }
    tensors.write(path, arrays, {"format": "pt"})
    assert tensors.header(path) == {"format": "pt"}
    assert tensors.shapes(path) == {name: a.shape for name, a in arrays.items()}
    result = tensors.read(path)
    assert result.keys() == arrays.keys()
    (tmp_path / "other").touch()  # others may read it as any file
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
    for name, array in arrays.items():
        assert result[name].dtype == array.dtype
        np.testing.assert_array_equal(result[name], array)


def file_of(header, data=b"\0" * 8):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize("reader", [tensors.read, tensors.shapes])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (file_of({"a": ENTRY})[:-1], "can be read"),
        (file_of({"a": ENTRY})[:20], "can be read"),
        (b"", "can be read"),
        (file_of({"a": {**ENTRY, "dtype": "F8_E4M3", "shape": [8]}}), "type F8_E4M3"),
        (file_of({"a": {**ENTRY, "dtype": "XX"}}), "unknown variant"),
        (pickle.dumps({"a": 1}), "is a pickle"),
    ],
)
def test_damaged_files_and_pickles_are_refused(tmp_path, data, words, reader):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=words) as error:
        reader(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    pickled = "pickle" in words
    assert ("torch.load" in str(error.value)) == pickled  # which would overwrite it


def test_a_file_of_torch_is_refused_with_its_cure(tmp_path):
    path = tmp_path / "64x64_diffusion.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02")
    with pytest.raises(ValueError, match=r"pickle.*64x64_diffusion\.safetensors'\)"):
        tensors.read(path)
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.safetensors"):
        tensors.read(tmp_path / "none.safetensors")

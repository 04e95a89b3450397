// joblib writes arrays between the opcodes: NumpyArrayWrapper says dtype, shape and order, its
// BUILD is followed by the raw bytes (joblib/numpy_pickle.py, NumpyArrayWrapper.read_array).
#include "scanner/formats/pickle/machine.hpp"

#include <charconv>

namespace hubgate::pickle {
namespace {

constexpr std::uint64_t k_too_large = std::uint64_t{1} << 61;

struct Dtype {
  bool object = false;
  std::optional<std::uint64_t> bytes;
};

// numpy.dtype(code, align, copy) with the state (version, order, subarray, names, fields, itemsize,
// alignment, flags): the code says kind and size, the state the size of what is structured.
Dtype read_dtype(const View& dtype) {
  Dtype out;
  if (dtype.kind() != Kind::object) return out;
  const View state = dtype.state();
  if (const auto code = dtype.args().item(0).text(32)) {
    if (code->starts_with('O')) out.object = true;
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(code->data() + std::min<std::size_t>(1, code->size()),
                                              code->data() + code->size(), size);
    if (error == std::errc() && end == code->data() + code->size())
      out.bytes = code->front() == 'U' ? size * 4 : size;
    if (*code == "b1" || *code == "?") out.bytes = 1;
  } else if (dtype.name().starts_with("numpy.dtypes.")) {
    // numpy 2 may name the dtype's class instead: no parameters are written then.
    return out;
  }
  if (state.kind() == Kind::tuple && state.size() >= 8) {
    const auto itemsize = state.item(5).integer();
    if (itemsize && *itemsize > 0) out.bytes = static_cast<std::uint64_t>(*itemsize);
    // NPY_ITEM_REFCOUNT: some field is an object.
    const auto flags = state.item(7).integer();
    if (flags && (*flags & 1) != 0) out.object = true;
  }
  return out;
}

} // namespace

Inline joblib_array(const View& object, Source& source, std::uint64_t next) {
  Inline out;
  const View state = object.state();
  const View shape = state.get("shape");
  const Dtype dtype = read_dtype(state.get("dtype"));
  if (dtype.object) {
    out.what = Inline::What::pickle;
    return out;
  }
  if (shape.kind() != Kind::tuple || shape.kept() != shape.size() || !dtype.bytes) return out;
  std::uint64_t bytes = *dtype.bytes;
  for (std::size_t i = 0; i < shape.kept(); ++i) {
    const auto n = shape.item(i).integer();
    if (!n || *n < 0) return out;
    if (*n != 0 && bytes > k_too_large / static_cast<std::uint64_t>(*n)) return out;
    bytes *= static_cast<std::uint64_t>(*n);
  }
  out.what = Inline::What::raw;
  out.bytes = bytes;
  const auto alignment = state.get("numpy_array_alignment_bytes").integer();
  if (alignment) {
    // One byte says how much padding follows.
    const Bytes padding = source.view(next, 1);
    out.bytes += 1u + (padding.empty() ? 0u : padding[0]);
  }
  return out;
}

} // namespace hubgate::pickle

#pragma once
// The header of a .npy array: what dtype and shape make of it. No loader is asked, nothing is
// evaluated.
#include "scanner/core/source.hpp"
#include "scanner/formats/numpy/literal.hpp"

#include <string>

namespace hubgate::numpy {

/// What a dtype says about its elements.
struct Dtype {
  std::uint64_t item_size = 0; ///< bytes
  bool has_object = false;     ///< the array is stored as a pickle
};

/// A `descr`: a type string ("<f4"), a list of fields, or a (descr, shape) pair. Nothing when it is
/// none of them, or when its size overflows.
std::optional<Dtype> dtype_of(const Literal& descr);

/// A type string alone, e.g. "<f4", "|S10", "float32", "O".
std::optional<Dtype> dtype_of(std::string_view type);

struct Header {
  enum class State {
    none, ///< no .npy magic
    good,
    truncated,   ///< the source ends inside the header
    unsupported, ///< a version after 3.0
    malformed,   ///< not the literal that the format prescribes
  };
  State state = State::none;
  std::uint64_t length = 0; ///< of the header's text
  std::uint64_t data = 0;   ///< offset of the first element
  Dtype dtype;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0; ///< of all elements; meaningless for objects
  std::string text;        ///< the literal, for evidence
  std::string_view error;  ///< of a malformed header
};

/// Reads the header at `offset`.
Header read_header(Source& source, std::uint64_t offset);

} // namespace hubgate::numpy

#pragma once
// The words of the gap for bytes that no format claims: the engine writes them, and the tree
// verdict, which may learn from another file what these bytes are, reads the number back.
#include <cstdint>
#include <string>

namespace hubgate {

inline std::string opaque_detail(std::uint64_t bytes) {
  return "no format claims these " + std::to_string(bytes) + " bytes";
}

} // namespace hubgate

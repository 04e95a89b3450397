#pragma once
// Looking for a word in bytes, where that is done for every object that passes.
#include <cstring>
#include <string_view>

namespace hubgate {

/// Whether `needle` stands in `text`. string_view::find stops at every byte that the needle begins
/// with, and JSON is full of quotes; this one skips.
inline bool holds(std::string_view text, std::string_view needle) {
  return needle.empty() || (!text.empty() && memmem(text.data(), text.size(), needle.data(),
                                                    needle.size()) != nullptr);
}

} // namespace hubgate

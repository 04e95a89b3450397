#pragma once
// What a path in a model says about where it leads.
#include <string_view>

namespace hubgate::tensorflow {

enum class PathKind {
  relative,  ///< a name beside the model, or nothing to go by
  absolute,  ///< anywhere on the machine
  sensitive, ///< leads upward, into the home folder, or to the system's own files
  network,   ///< an address
};

/// Judges a path, file:// address or pattern as TensorFlow's file systems read it.
PathKind kind_of(std::string_view path);

} // namespace hubgate::tensorflow

#pragma once
// saved_model.pbtxt and graph.pbtxt: TensorFlow's loader falls back to the text form. It is written
// back to the wire format here, so that one scan reads both.
#include "scanner/core/textproto.hpp"

#include <string>

namespace hubgate::tensorflow {

enum class Root { saved_model, meta_graph, graph };

/// By the first field's name, whether a text could be one of ours, and which; more than one message
/// has a field of some names: the widest is returned.
bool root_of(std::string_view field, Root& root);

struct Encoded {
  std::string wire; ///< what could be read, in the wire format
  TextProtoFailure failure = TextProtoFailure::none;
  std::uint64_t position = 0; ///< first byte of the text that was not read
};

/// Encodes the text [0, end) of `source` as the message `root`. Fields that no effect depends on
/// are left out. `max` bounds the result.
Encoded encode(Source& source, std::uint64_t end, Root root, std::size_t max);

} // namespace hubgate::tensorflow

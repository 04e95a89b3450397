#pragma once
// TensorFlow operators inside other formats (TFLite's Flex operators, TF.js): the other format
// writes them as a GraphDef, which is judged here.
#include "scanner/core/session.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace hubgate::tensorflow {

/// Judges a GraphDef in the wire format with this folder's rules, reported to `session` without
/// offsets. False when it is malformed (a gap was reported).
bool scan_graph(Session& session, std::string_view wire);

/// One string constant "in0", "in1"… for each of `inputs` (nothing: a placeholder), and the node
/// that reads them: `node` is a NodeDef in the wire format, whose own inputs are replaced.
std::string graph_of(std::string_view node, const std::vector<std::string>& inputs);

/// A NodeDef with nothing but a name and an operator.
std::string node_of(std::string_view name, std::string_view op);

/// Appends a length-delimited field.
void put_field(std::string& out, std::uint32_t number, std::string_view bytes);

} // namespace hubgate::tensorflow

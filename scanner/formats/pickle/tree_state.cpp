// The state of scikit-learn's trees (sklearn/tree/_tree.pyx): an array of nodes whose children and
// features its C code follows unchecked. Tree(n_features, n_classes, n_outputs), then a state of
// max_depth, node_count, nodes (left i64, right i64, feature i64, …) and values.
#include "scanner/core/reader.hpp"
#include "scanner/formats/pickle/machine.hpp"

namespace hubgate::pickle {

namespace {

constexpr std::size_t k_max_nodes_bytes = std::size_t{64} << 20;
constexpr std::uint64_t k_smallest_node = 24;
constexpr std::int64_t k_leaf = -1;

// What is wrong with nodes that lie in `data`, "" = nothing.
std::string wrong_node(std::string_view data, std::uint64_t count, std::int64_t features) {
  const std::uint64_t each = data.size() / count;
  for (std::uint64_t i = 0; i < count; ++i) {
    Reader in(as_bytes(data.substr(static_cast<std::size_t>(i * each), k_smallest_node)));
    const std::int64_t left = in.le<std::int64_t>().value_or(0);
    const std::int64_t right = in.le<std::int64_t>().value_or(0);
    const std::int64_t feature = in.le<std::int64_t>().value_or(0);
    for (const std::int64_t child: {left, right})
      if (child != k_leaf &&
          (child <= static_cast<std::int64_t>(i) || child >= static_cast<std::int64_t>(count)))
        return "node " + std::to_string(i) + " of " + std::to_string(count) + " leads to node " +
               std::to_string(child);
    if (left != k_leaf && features > 0 && (feature < 0 || feature >= features))
      return "node " + std::to_string(i) + " splits feature " + std::to_string(feature) + " of " +
             std::to_string(features);
  }
  return {};
}

} // namespace

void Machine::check_tree(Word object, Word state, At at) {
  const View values = view(state);
  const auto count = values.get("node_count").integer();
  const auto tell = [&](const std::string& what) {
    find(R::argument_shape, at, name_of(object) + ": " + what,
         {std::nullopt, std::nullopt, {}, "JNP-013", "structure"});
  };
  if (!count) return;
  if (*count < 0) return tell("node_count is " + std::to_string(*count));
  const View nodes = values.get("nodes");
  if (nodes.kind() != Kind::object) return;
  const View inner = nodes.state();
  // An array of numpy: (version, shape, dtype, order, bytes); joblib's wrapper names the shape, and
  // its bytes stand elsewhere.
  const View shape = inner.kind() == Kind::tuple ? inner.item(1) : inner.get("shape");
  if (shape.kind() == Kind::tuple && shape.size() == 1)
    if (const auto length = shape.item(0).integer(); length && *length != *count)
      return tell("node_count is " + std::to_string(*count) + " and nodes are " +
                  std::to_string(*length));
  if (inner.kind() != Kind::tuple || inner.size() < 5 || *count == 0) return;
  const auto data = inner.item(4).text(k_max_nodes_bytes);
  const auto total = static_cast<std::uint64_t>(*count);
  if (!data) return;
  if (data->size() % total != 0 || data->size() / total < k_smallest_node)
    return tell(std::to_string(total) + " nodes in " + std::to_string(data->size()) + " bytes");
  const std::int64_t features = view(object).args().item(0).integer().value_or(0);
  if (const std::string wrong = wrong_node(*data, total, features); !wrong.empty()) tell(wrong);
}

} // namespace hubgate::pickle

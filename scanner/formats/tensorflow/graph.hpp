#pragma once
// A TensorFlow graph as far as its effects need it: nodes, their edges, the functions they call,
// string constants; what runs at load and what a signature reaches. Built from the wire format
// (read_graph.cpp), judged in judge.cpp. Memory is bounded: beyond k_max_bytes nodes are judged
// alone, without knowing where their paths come from.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hubgate::tensorflow {

inline constexpr std::uint32_t k_none = ~std::uint32_t{0};

/// How a node comes to run.
enum class Reached : std::uint8_t { no, by_signature, at_load };

struct Node {
  std::string name;
  std::string op;
  std::vector<std::string> inputs;    ///< "node", "node:0", "node:out:0", "^control"
  std::vector<std::string> functions; ///< that its attributes name
  std::vector<std::pair<std::string, std::string>>
      texts;                           ///< string attributes of operators with effects
  std::optional<std::string> constant; ///< first string of a string constant
  std::uint64_t elements = 0;          ///< of a constant, by its shape
  std::uint64_t offset = 0;            ///< of the NodeDef in the object
  Reached reached = Reached::no;
};

struct Graph {
  std::string function; ///< "" for the main graph
  std::vector<std::string> arguments;
  std::vector<Node> nodes;
  std::vector<std::uint32_t> by_name; ///< indices into nodes, sorted by name; see Model::index
  std::vector<std::pair<std::uint32_t, std::uint32_t>> callers; ///< (graph, node), at most 64
  Reached reached = Reached::no;
};

/// Where the text of an input comes from.
struct Origin {
  enum class Kind { unknown, constant, asset } kind = Kind::unknown;
  std::string text;
};

class Model {
public:
  static constexpr std::size_t k_max_bytes = std::size_t{160} << 20;

  std::deque<Graph> graphs;                 ///< of one MetaGraphDef; [0] is the main graph
  std::vector<std::string> assets;          ///< node names that are fed with asset paths
  std::vector<std::string> load_nodes;      ///< nodes that run at load
  std::vector<std::string> load_functions;  ///< functions that run at load
  std::vector<std::string> signature_nodes; ///< outputs of signatures

  /// Accounts for a node's memory; false when there is no room for it.
  bool charge(const Node& node);

  /// Sorts names, finds callers and marks what is reached. Once, when all is read.
  void index();

  std::uint32_t find(const Graph& graph, std::string_view name) const;
  /// A function of the library, or k_none.
  std::uint32_t function(std::string_view name) const;

  /// Where input `input` of `node` comes from.
  Origin origin(std::uint32_t graph, const Node& node, int input) const;

private:
  Origin origin_of(std::uint32_t graph, std::string_view reference, int depth) const;
  Origin joined(std::uint32_t graph, const Node& node, int depth) const;
  void reach(std::vector<std::pair<std::uint32_t, std::uint32_t>> queue, Reached how);
  void reach_function(std::uint32_t graph, Reached how,
                      std::vector<std::pair<std::uint32_t, std::uint32_t>>& queue);

  std::vector<std::uint32_t> functions_; ///< indices into graphs, sorted by function
  std::size_t bytes_ = 0;
  mutable std::uint64_t steps_ = 0;
};

/// "^scope/node:out:0" without its decorations.
std::string_view node_of(std::string_view reference);

} // namespace hubgate::tensorflow

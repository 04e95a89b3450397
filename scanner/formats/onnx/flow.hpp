#pragma once
// Flow: what an ONNX graph does with its values, without running it. Answers three questions: does
// a test of the input choose between the model and a constant (ShadowLogic, arXiv:2511.00664), does
// a value become larger than anybody would want, and do functions call themselves or multiply.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hubgate::onnx {

using ValueId = std::uint64_t; ///< hash of a value's name; 0 = the empty name

ValueId value_id(std::string_view name);

struct Constant {
  std::uint64_t elements = 0;
  std::vector<std::int64_t> values; ///< of small integer tensors
};

struct GraphRecord;

/// A node, reduced to what the flow needs.
struct NodeRecord {
  std::string op;
  std::string domain;
  std::string name;
  std::uint64_t offset = 0;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::optional<Constant> constant; ///< of a Constant node, or the attribute "shape"
  std::vector<std::unique_ptr<GraphRecord>> graphs;
};

struct GraphRecord {
  std::vector<NodeRecord> nodes;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::unordered_map<ValueId, Constant> constants; ///< initialisers
};

struct FunctionRecord {
  std::string domain;
  std::string name;
  GraphRecord graph;
};

struct FlowFinding {
  enum class Kind { shadow, bomb, recursion } kind;
  std::uint64_t offset;
  std::string evidence;
};

class Flow {
public:
  std::vector<GraphRecord> graphs; ///< the main one and those of training
  std::vector<FunctionRecord> functions;

  std::vector<FlowFinding> judge();

private:
  enum State : unsigned {
    k_none = 0,
    k_const = 1,   ///< of constants only
    k_input = 2,   ///< of the input, without weights between
    k_trigger = 4, ///< the input compared with a constant
    k_heavy = 8,   ///< went through the model's weights
    k_inject = 16, ///< a constant vector, scaled by a trigger
    k_patched = 32 ///< a trigger chooses between model and constant
  };
  struct Value {
    unsigned state = k_none;
    std::uint64_t elements = 1; ///< at least
    std::vector<std::int64_t> values;
    std::uint64_t patched_at = 0;
    std::string patched_by;
  };
  using Scope = std::unordered_map<ValueId, Value>;

  Value run(const GraphRecord& graph, Scope& scope, unsigned depth);
  Value step(const NodeRecord& node, Scope& scope, unsigned depth);
  void choice(const NodeRecord& node, const std::vector<Value>& in,
              const std::vector<Value>& branches, Value& out) const;
  void grow(const NodeRecord& node, const std::vector<Value>& in, Value& out);
  std::uint64_t expanded(std::size_t function, unsigned depth);
  std::uint64_t expanded(const GraphRecord& graph, unsigned depth);
  std::optional<std::size_t> find_function(const NodeRecord& node) const;

  std::map<std::pair<std::string, std::string>, std::size_t> by_name_;
  std::vector<std::uint64_t> sizes_; ///< of functions, k_unknown until computed
  std::vector<bool> open_;
  std::vector<std::optional<Value>> results_;
  std::vector<FlowFinding> findings_;
};

} // namespace hubgate::onnx

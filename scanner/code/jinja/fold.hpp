#pragma once
// Constant folding over a template's tree, and what flows into a value: the words of a
// conversation, the date, or the outcome of a test on them. Names are followed through set, for,
// with and macro arguments without regard to order, so that a value has several alternatives at
// most (k_alternatives). Internal to scanner/code/jinja.
#include "scanner/code/jinja/tree.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace hubgate::jinja {

struct Value {
  enum class Type : std::uint8_t { text, number, list } type = Type::text;
  std::string text;
  std::int64_t number = 0;
  std::vector<std::string> items;

  static Value of(std::string value) { return {Type::text, std::move(value), 0, {}}; }
  static Value of(std::int64_t value) { return {Type::number, {}, value, {}}; }
  static Value of(std::vector<std::string> value) { return {Type::list, {}, 0, std::move(value)}; }
};

/// Alternatives; empty = not a constant.
using Values = std::vector<Value>;

enum Flow : std::uint8_t {
  k_content = 1, ///< holds what a person or a tool wrote
  k_date = 2,    ///< holds the date
  k_tested = 4,  ///< depends on a comparison of content with a constant
  k_worded = 8,  ///< the same, and the constant is an ordinary word
  k_dated = 16,  ///< depends on a comparison of the date
};

class Folder {
public:
  explicit Folder(const Tree& tree);

  const Values& fold(NodeId id);
  std::uint8_t flow(NodeId id);

  /// A name is set under a condition on content or date: what it holds tells of it.
  void depends(const std::string& name, std::uint8_t flow);
  /// Forgets flows that were computed before depends() said more.
  void settle() { flows_.clear(); }

  /// "x", or "x.y" for an attribute of a name; "" for anything else.
  std::string key_of(NodeId id) const;
  bool is_bound(const std::string& name) const { return bound_.contains(name); }

private:
  struct Binding {
    NodeId node;
    bool items; ///< the name takes the elements one by one
  };

  void collect();
  Values compute(NodeId id);
  Values of_name(const std::string& key);
  Values of_binary(const Node& node);
  Values of_filter(const Node& node);
  Values of_call(const Node& node);
  Values of_subscript(const Node& node);
  Values method(const Values& object, const std::string& name,
                const std::vector<NodeId>& arguments);
  std::uint8_t compute_flow(NodeId id);
  std::uint8_t flow_of_test(const Node& node, std::uint8_t below);

  const Tree& tree_;
  std::map<std::string, std::vector<Binding>, std::less<>> bound_;
  std::map<std::string, std::uint8_t, std::less<>> depends_;
  std::unordered_map<NodeId, Values> values_;
  std::unordered_map<NodeId, std::uint8_t> flows_;
  std::map<std::string, bool, std::less<>> busy_;
  std::size_t bytes_ = 0; ///< of folded text
  std::uint32_t nested_ = 0;
};

/// A constant that people type rather than programs: letters and spaces, no markup.
bool is_ordinary_word(std::string_view text);

} // namespace hubgate::jinja

#pragma once
// The trees of an XGBoost model (doc/model.schema of xgboost), whatever syntax they are written in:
// JSON and Universal Binary JSON feed the same events. A tree's indices must lie inside of it, for
// old readers follow them unchecked.
#include "scanner/core/session.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::xgboost {

inline constexpr std::array<Rule, 2> k_rules{{
    {"xgboost-tree", "structure", Severity::suspicious, Reach::load, "CWE-129", "AML.T0029",
     "JNP-019", "a tree of the model leads outside of itself, which old readers follow"},
    {"xgboost-bounds", "structure", Severity::suspicious, Reach::load, "CWE-674", "AML.T0029",
     "JNP-019", "a length or a depth that no model has and that readers have broken at"},
}};
inline constexpr const Rule& k_tree = k_rules[0];
inline constexpr const Rule& k_bounds = k_rules[1];

class Trees {
public:
  explicit Trees(Session& session) : session_(session) {}

  void object_begin(std::uint64_t offset);
  void object_end();
  void array_begin();
  void array_end();
  void key(std::string_view name);
  void string(std::string_view text, std::uint64_t offset);
  void number(double value);

  /// Seen so far: "learner" at the top.
  bool is_model() const { return model_; }
  /// Tells what was found; before it nothing is reported.
  void settle();

private:
  struct Tree {
    std::uint64_t offset = 0;
    std::uint64_t nodes = 0;
    std::uint64_t features = 0;
    bool has_nodes = false;
    std::int64_t least = 0; ///< of the children
    std::int64_t most = -1;
    std::int64_t feature = -1;
    std::array<std::uint64_t, 4> counts{}; ///< of left, right, parents, split indices
    std::array<bool, 4> has{};
  };
  struct Held {
    const Rule* rule;
    std::uint64_t offset;
    std::string evidence;
  };
  void end_tree();
  void hold(const Rule& rule, std::uint64_t offset, std::string evidence);

  Session& session_;
  std::vector<std::string> path_; ///< keys of the open objects, bounded
  std::size_t depth_ = 0;
  std::string key_;
  bool model_ = false;
  bool in_tree_ = false;
  std::size_t tree_depth_ = 0;
  int column_ = -1; ///< of counts, inside of one of its arrays
  Tree tree_;
  std::uint64_t trees_ = 0;
  std::vector<Held> held_;
  std::size_t told_ = 0;
  bool settled_ = false;
};

} // namespace hubgate::xgboost

#include "scanner/formats/xgboost/trees.hpp"

#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <charconv>

namespace hubgate::xgboost {

namespace {

constexpr std::size_t k_told = 8;
constexpr std::array<std::string_view, 4> k_columns{"left_children", "right_children", "parents",
                                                    "split_indices"};
constexpr std::int64_t k_no_parent = 2147483647; ///< of the root
constexpr std::size_t k_kept_path = 64;

std::uint64_t number_of(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

} // namespace

void Trees::hold(const Rule& rule, std::uint64_t offset, std::string evidence) {
  if (++told_ > k_told) return;
  if (settled_)
    session_.find(rule, offset, 0, evidence);
  else
    held_.push_back({&rule, offset, std::move(evidence)});
}

void Trees::settle() {
  settled_ = true;
  for (const Held& item: held_)
    session_.find(*item.rule, item.offset, 0, item.evidence);
  held_.clear();
}

void Trees::object_begin(std::uint64_t offset) {
  ++depth_;
  if (path_.size() < k_kept_path) path_.push_back(key_);
  // learner.gradient_booster.model.trees[…], and the same below a dart booster's gbtree.
  if (!in_tree_ && model_ && key_ == "trees") {
    in_tree_ = true;
    tree_depth_ = depth_;
    tree_ = {};
    tree_.offset = offset;
  }
}

void Trees::object_end() {
  if (in_tree_ && depth_ == tree_depth_) end_tree();
  if (depth_ > 0) --depth_;
  // The key of the object that is open again: "trees" for the next one in its list.
  if (path_.size() > depth_) {
    key_ = path_.back();
    path_.pop_back();
  }
}

void Trees::array_begin() {
  if (!in_tree_ || depth_ != tree_depth_) return;
  const auto at = std::find(k_columns.begin(), k_columns.end(), key_);
  column_ = at == k_columns.end() ? -1 : static_cast<int>(at - k_columns.begin());
  if (column_ >= 0) tree_.has[static_cast<std::size_t>(column_)] = true;
}

void Trees::array_end() {
  column_ = -1;
}

void Trees::key(std::string_view name) {
  if (name.size() <= 64)
    key_ = name;
  else
    key_.clear();
  // In a pickled booster it stands below "Model".
  if (depth_ <= 2 && name == "learner") model_ = true;
}

void Trees::string(std::string_view text, std::uint64_t offset) {
  if (in_tree_ && depth_ == tree_depth_ + 1) {
    if (key_ == "num_nodes") {
      tree_.nodes = number_of(text);
      tree_.has_nodes = true;
    }
    if (key_ == "num_feature") tree_.features = number_of(text);
  }
  // Attributes and feature names are free text.
  if (settled_ && text.size() >= 16 && text.size() <= (std::size_t{1} << 20))
    scan_text_value(session_, key_.empty() ? "a string" : key_, text, offset);
}

void Trees::number(double value) {
  if (column_ < 0) return;
  const auto column = static_cast<std::size_t>(column_);
  ++tree_.counts[column];
  const auto whole =
      value >= -9e15 && value <= 9e15 ? static_cast<std::int64_t>(value) : std::int64_t{1} << 60;
  if (column == 3) {
    tree_.feature = std::max(tree_.feature, whole);
    if (whole < 0) tree_.least = std::min<std::int64_t>(tree_.least, -2);
  } else if (column < 2 || whole != k_no_parent) {
    tree_.most = std::max(tree_.most, whole);
    tree_.least = std::min(tree_.least, whole);
  }
}

void Trees::end_tree() {
  in_tree_ = false;
  column_ = -1;
  const std::string shown = "tree " + std::to_string(trees_++);
  if (!tree_.has_nodes) return;
  for (std::size_t i = 0; i < k_columns.size(); ++i)
    if (tree_.has[i] && tree_.counts[i] != tree_.nodes)
      hold(k_tree, tree_.offset,
           shown + " has " + std::to_string(tree_.nodes) + " nodes and " +
               std::to_string(tree_.counts[i]) + " " + std::string(k_columns[i]));
  if (tree_.least < -1 || tree_.most >= static_cast<std::int64_t>(std::min<std::uint64_t>(
                                            tree_.nodes, std::uint64_t{1} << 40)))
    hold(k_tree, tree_.offset,
         shown + " of " + std::to_string(tree_.nodes) + " nodes leads to node " +
             std::to_string(tree_.least < -1 ? tree_.least : tree_.most));
  if (tree_.features != 0 && tree_.feature >= 0 &&
      static_cast<std::uint64_t>(tree_.feature) >= tree_.features)
    hold(k_tree, tree_.offset,
         shown + " splits feature " + std::to_string(tree_.feature) + " of " +
             std::to_string(tree_.features));
}

} // namespace hubgate::xgboost

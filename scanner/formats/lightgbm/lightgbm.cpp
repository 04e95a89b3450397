// LightGBM's text models (src/boosting/gbdt_model_text.cpp): lines of key=value, a section a tree.
// See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_told = 8;
constexpr std::size_t k_step = std::size_t{64} << 10;
constexpr std::size_t k_kept_text = std::size_t{1} << 20; ///< of a line that is free text
constexpr std::string_view k_atlas = "AML.T0029";

constexpr std::array<Rule, 1> k_rules{{
    {"lightgbm-tree", "structure", Severity::suspicious, Reach::load, "CWE-129", k_atlas, "JNP-020",
     "a tree's numbers do not fit each other, which the reader of the model follows unchecked"},
}};

const Rule& k_tree = k_rules[0];

// Arrays of a tree: how many numbers they have, and what the numbers index.
enum class Column { left, right, feature, leaf_value, threshold, none };

Column column_of(std::string_view key) {
  if (key == "left_child") return Column::left;
  if (key == "right_child") return Column::right;
  if (key == "split_feature") return Column::feature;
  if (key == "leaf_value") return Column::leaf_value;
  if (key == "threshold") return Column::threshold;
  return Column::none;
}

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  void byte(char c, std::uint64_t offset);
  void end_line();
  void end_number();
  void end_tree();
  void tell(const std::string& evidence) {
    if (++told_ <= k_told) session_.find(k_tree, line_at_, 0, evidence);
  }

  Source& source_;
  Session& session_;
  std::string key_;
  std::string text_; ///< the value, of lines that are not arrays of numbers
  std::string number_;
  Column column_ = Column::none;
  bool in_value_ = false;
  std::uint64_t line_at_ = 0;
  std::uint64_t count_ = 0; ///< numbers in this line

  bool in_tree_ = false;
  std::string tree_;
  std::int64_t leaves_ = -1;
  std::int64_t max_feature_ = -1;
  std::int64_t most_feature_ = -1;
  std::int64_t least_child_ = 0;
  std::int64_t most_child_ = -1;
  std::array<std::uint64_t, 5> counts_{};
  std::array<bool, 5> seen_{};
  std::size_t told_ = 0;
};

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || at != text.data() + text.size()) return std::nullopt;
  return value;
}

void Scan::end_number() {
  if (number_.empty()) return;
  ++count_;
  const auto value = integer(number_);
  if (column_ == Column::left || column_ == Column::right) {
    if (!value) {
      tell(tree_ + ": child \"" + number_.substr(0, 40) + "\"");
    } else {
      least_child_ = std::min(least_child_, *value);
      most_child_ = std::max(most_child_, *value);
    }
  } else if (column_ == Column::feature) {
    if (!value || *value < 0)
      tell(tree_ + ": split feature \"" + number_.substr(0, 40) + "\"");
    else
      most_feature_ = std::max(most_feature_, *value);
  }
  number_.clear();
}

void Scan::end_tree() {
  if (!in_tree_) return;
  in_tree_ = false;
  if (leaves_ < 1) return tell(tree_ + " has " + std::to_string(leaves_) + " leaves");
  const std::int64_t inner = leaves_ - 1;
  const auto expect = [&](Column column, std::int64_t wanted, std::string_view name) {
    const auto i = static_cast<std::size_t>(column);
    if (seen_[i] && counts_[i] != static_cast<std::uint64_t>(wanted))
      tell(tree_ + " has " + std::to_string(leaves_) + " leaves and " + std::to_string(counts_[i]) +
           " of " + std::string(name));
  };
  expect(Column::leaf_value, leaves_, "leaf_value");
  if (inner > 0) {
    expect(Column::left, inner, "left_child");
    expect(Column::right, inner, "right_child");
    expect(Column::feature, inner, "split_feature");
    expect(Column::threshold, inner, "threshold");
    // Leaf k is written as -(k + 1).
    if (least_child_ < -leaves_ || most_child_ >= inner)
      tell(tree_ + " leads to node " +
           std::to_string(least_child_ < -leaves_ ? least_child_ : most_child_));
  }
  if (max_feature_ >= 0 && most_feature_ > max_feature_)
    tell(tree_ + " splits feature " + std::to_string(most_feature_) + " of " +
         std::to_string(max_feature_ + 1));
}

void Scan::end_line() {
  end_number();
  if (key_ == "Tree") {
    end_tree();
    in_tree_ = true;
    tree_ = "tree " + text_.substr(0, 20);
    leaves_ = -1;
    most_feature_ = -1;
    least_child_ = 0;
    most_child_ = -1;
    counts_ = {};
    seen_ = {};
  } else if (key_ == "num_leaves" && in_tree_) {
    leaves_ = integer(text_).value_or(-1);
  } else if (key_ == "max_feature_idx") {
    max_feature_ = integer(text_).value_or(-1);
  } else if (key_ == "end of trees") {
    end_tree();
  } else if (column_ != Column::none && in_tree_) {
    const auto i = static_cast<std::size_t>(column_);
    counts_[i] = count_;
    seen_[i] = true;
  } else if (text_.size() >= 16 || (!in_value_ && key_.size() >= 16)) {
    // Feature names, parameters, categories: free text.
    const std::string_view value = in_value_ ? std::string_view(text_) : std::string_view(key_);
    if (const auto hit = find_script(value))
      session_.find(k_rule_embedded_script, line_at_, value.size(),
                    std::string(hit->what) + ": " + std::string(value.substr(hit->offset, 200)));
  }
  key_.clear();
  text_.clear();
  column_ = Column::none;
  in_value_ = false;
  count_ = 0;
}

void Scan::byte(char c, std::uint64_t offset) {
  if (c == '\n') {
    end_line();
    line_at_ = offset + 1;
    return;
  }
  if (c == '\r') return;
  if (!in_value_) {
    if (c == '=' && key_.size() < 128) {
      in_value_ = true;
      column_ = column_of(key_);
    } else if (key_.size() < k_kept_text) {
      key_ += c;
    }
    return;
  }
  if (column_ == Column::none || !in_tree_) {
    if (text_.size() < k_kept_text) text_ += c;
    return;
  }
  if (c == ' ')
    end_number();
  else if (number_.size() < 64)
    number_ += c;
}

Reading Scan::run() {
  std::uint64_t at = 0;
  for (Bytes piece = source_.some(0, k_step); !piece.empty(); piece = source_.some(at, k_step)) {
    for (const std::uint8_t c: piece) {
      if (c == 0) return at == 0 ? Reading::none : Reading::broken;
      byte(static_cast<char>(c), at++);
    }
    session_.release(at - std::min(at, k_held_tail));
    if (!session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, at, "out of time");
      return Reading::broken;
    }
  }
  end_line();
  end_tree();
  return Reading::valid;
}

// "tree", then a version: what every version of LightGBM has written.
Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  if (!head.starts_with("tree\n") && !head.starts_with("tree\r\n")) return Claim::no;
  return holds(head, "\nnum_class=") || holds(head, "\nversion=v") ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_lightgbm;
const Format format_lightgbm{
    .name = "lightgbm", .family = "text", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate

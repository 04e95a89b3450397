// XGBoost models in the binary format of before JSON, which 0.4 to 3.0 read and write
// (src/learner.cc, src/gbm/gbtree.cc, include/xgboost/tree_model.h of xgboost). See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/formats/xgboost/trees.hpp"

#include <algorithm>

namespace hubgate {
namespace {

constexpr std::string_view k_magic = "binf";
constexpr std::uint64_t k_learner = 136; ///< LearnerModelParam
constexpr std::uint64_t k_booster = 160; ///< GBTreeModelParam
constexpr std::uint64_t k_linear = 136;  ///< GBLinearModelParam
constexpr std::uint64_t k_tree = 148;    ///< TreeParam
constexpr std::uint64_t k_node = 20;
constexpr std::uint64_t k_stat = 16;
constexpr std::uint64_t k_longest_name = 64;
constexpr std::uint64_t k_max_text = std::uint64_t{1} << 20;
constexpr std::size_t k_told = 20;

bool is_booster(std::string_view name) {
  return name == "gbtree" || name == "dart" || name == "gblinear";
}

// The name of the objective behind the parameters, then that of the booster.
bool has_names(Bytes head, std::size_t begin) {
  Reader reader(head);
  if (!reader.skip(begin + k_learner)) return false;
  const auto length = reader.le<std::uint64_t>();
  if (!length || *length == 0 || *length > k_longest_name) return false;
  const auto objective = reader.take(*length);
  if (!objective || !std::all_of(objective->begin(), objective->end(), [](std::uint8_t c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == ':' || c == '_' || c == '@' || c == '-';
      }))
    return false;
  const auto booster = reader.le<std::uint64_t>();
  if (!booster || *booster > k_longest_name) return false;
  const auto name = reader.take(*booster);
  return name && is_booster(as_text(*name));
}

class Scan {
public:
  Scan(Source& source, Session& session)
      : source_(source), session_(session), in_(source), size_(source.wait_end()) {}
  Reading run();

private:
  std::optional<std::string> text(std::uint64_t most);
  bool forest(bool dropped);
  bool tree(std::uint64_t number, std::uint32_t features);
  bool linear();
  bool attributes();
  bool metrics();
  bool room(std::uint64_t count, std::uint64_t each) const {
    const std::uint64_t left = size_ - std::min(size_, in_.position());
    return count <= left / each;
  }
  bool ended() {
    session_.gap(Reason::truncated, Reach::load, in_.position(), "the model ends early");
    return false;
  }
  void wrong(std::uint64_t at, const std::string& what) {
    if (told_++ < k_told) session_.find(xgboost::k_tree, at, 0, what);
  }

  Source& source_;
  Session& session_;
  Cursor in_;
  std::uint64_t size_;
  std::uint32_t features_ = 0;
  std::uint32_t major_ = 0;
  bool has_attributes_ = false;
  bool has_metrics_ = false;
  std::size_t told_ = 0;
};

std::optional<std::string> Scan::text(std::uint64_t most) {
  const auto length = in_.le<std::uint64_t>();
  if (!length || !room(*length, 1)) return std::nullopt;
  if (*length > most) {
    session_.gap(Reason::budget, Reach::data, in_.position(), "a text of more than 1 MiB");
    return in_.skip(*length) ? std::optional<std::string>("") : std::nullopt;
  }
  std::string out;
  while (out.size() < *length) {
    const auto piece = in_.take(
        std::min<std::size_t>(Cursor::k_window, static_cast<std::size_t>(*length) - out.size()));
    if (!piece) return std::nullopt;
    out += as_text(*piece);
  }
  return out;
}

// TreeParam: 1 number of nodes, 5 size of leaf vectors. A node: parent, left, right, feature,
// value.
bool Scan::tree(std::uint64_t number, std::uint32_t features) {
  const std::uint64_t begin = in_.position();
  const auto head = in_.take(k_tree);
  if (!head) return ended();
  Reader param(*head);
  param.skip(4);
  const std::uint32_t nodes = *param.le<std::uint32_t>();
  param.skip(12);
  const std::uint32_t vectors = *param.le<std::uint32_t>();
  const std::string name = "tree " + std::to_string(number);
  if (!room(nodes, k_node + k_stat)) {
    wrong(begin, name + " says that it has " + std::to_string(nodes) + " nodes");
    return ended();
  }
  constexpr std::uint32_t k_none = 0xffffffff;
  constexpr std::uint32_t k_flagged = 0x7fffffff; // the top bit says left, or missing goes left
  for (std::uint32_t i = 0; i < nodes; ++i) {
    const std::uint64_t at = in_.position();
    const auto raw = in_.take(k_node);
    if (!raw) return ended();
    Reader node(*raw);
    const std::uint32_t parent = *node.le<std::uint32_t>();
    const std::uint32_t left = *node.le<std::uint32_t>();
    const std::uint32_t right = *node.le<std::uint32_t>();
    const std::uint32_t feature = *node.le<std::uint32_t>();
    if (feature == k_none) continue; // deleted
    const bool lost = (parent != k_none && (parent & k_flagged) >= nodes) ||
                      (left != k_none && (left >= nodes || right >= nodes || left == 0));
    if (lost)
      wrong(at, "node " + std::to_string(i) + " of " + name + " leads out of its " +
                    std::to_string(nodes) + " nodes");
    else if (left != k_none && features != 0 && (feature & k_flagged) >= features)
      wrong(at, "node " + std::to_string(i) + " of " + name + " asks for feature " +
                    std::to_string(feature & k_flagged) + " of " + std::to_string(features));
    if (i % 4096 == 4095 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, at, "out of time in a tree");
      return false;
    }
  }
  if (!in_.skip(nodes * k_stat)) return ended();
  if (vectors == 0 || major_ >= 1) return true;
  // Before 1.0: values of leaves that have several.
  const auto count = in_.le<std::uint64_t>();
  return (count && room(*count, 4) && in_.skip(*count * 4)) || ended();
}

// GBTreeModelParam: 0 number of trees, 2 features; the trees; a number for each; of dart weights.
bool Scan::forest(bool dropped) {
  const auto head = in_.take(k_booster);
  if (!head) return ended();
  Reader param(*head);
  const std::uint32_t trees = *param.le<std::uint32_t>();
  if (!room(trees, k_tree + 4)) {
    wrong(in_.position(), "the model says that it has " + std::to_string(trees) + " trees");
    return ended();
  }
  for (std::uint32_t i = 0; i < trees; ++i)
    if (!tree(i, features_)) return false;
  if (!in_.skip(std::uint64_t{trees} * 4)) return ended();
  if (!dropped || trees == 0) return true;
  const auto weights = in_.le<std::uint64_t>();
  return (weights && room(*weights, 4) && in_.skip(*weights * 4)) || ended();
}

bool Scan::linear() {
  if (!in_.skip(k_linear)) return ended();
  const auto weights = in_.le<std::uint64_t>();
  return (weights && room(*weights, 4) && in_.skip(*weights * 4)) || ended();
}

// Names and values, free text: "objective" has JSON.
bool Scan::attributes() {
  const auto count = in_.le<std::uint64_t>();
  if (!count || !room(*count, 16)) return ended();
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto name = text(k_max_text);
    const auto value = name ? text(k_max_text) : std::nullopt;
    if (!value) return ended();
    if (value->empty()) continue;
    MemorySource source(as_bytes(*value));
    session_.embedded("attribute " + *name, source);
  }
  return true;
}

bool Scan::metrics() {
  const auto count = in_.le<std::uint64_t>();
  if (!count || !room(*count, 8)) return ended();
  for (std::uint64_t i = 0; i < *count; ++i)
    if (!text(k_max_text)) return ended();
  return true;
}

Reading Scan::run() {
  const bool magic = starts_with(source_.view(0, 4), k_magic);
  if (magic) in_.skip(4);
  const auto head = in_.take(k_learner);
  if (!head) {
    ended();
    return Reading::broken;
  }
  // 1 features, 3 attributes, 4 metrics, 5 major version.
  Reader param(*head);
  param.skip(4);
  features_ = *param.le<std::uint32_t>();
  param.skip(4);
  has_attributes_ = *param.le<std::uint32_t>() != 0;
  has_metrics_ = *param.le<std::uint32_t>() != 0;
  major_ = *param.le<std::uint32_t>();
  const auto objective = text(k_longest_name);
  const auto booster = objective ? text(k_longest_name) : std::nullopt;
  if (!booster) {
    ended();
    return Reading::broken;
  }
  if (!is_booster(*booster)) {
    if (!magic) return Reading::none;
    session_.gap(Reason::unsupported, Reach::load, in_.position(), "booster " + *booster);
    return Reading::broken;
  }
  const bool good = (*booster == "gblinear" ? linear() : forest(*booster == "dart")) &&
                    (!has_attributes_ || attributes()) && (!has_metrics_ || metrics());
  if (!good) return Reading::broken;
  session_.ends_at(in_.position());
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  if (starts_with(probe.head, k_magic) && has_names(probe.head, k_magic.size())) return Claim::yes;
  return has_names(probe.head, 0) ? Claim::maybe : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_xgboost_binary;
const Format format_xgboost_binary{"xgboost_binary", "xgboost_binary", probe, scan,
                                   xgboost::k_rules};

} // namespace hubgate
